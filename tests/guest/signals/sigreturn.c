/* What a program may put into its signal frame before it returns: the sane is loaded, the rest ends
 * in SIGSEGV, and nothing gets past the frame's checks. */
#include "../check.h"
#include <setjmp.h>
#include <sys/resource.h>
#include <ucontext.h>

enum { XSAVE_SW = 464, XSAVE_HEADER = 512 };
static void (*edit)(ucontext_t *context);
static sigjmp_buf back;

static void on_usr1(int number, siginfo_t *info, void *raw) {
    (void)number;
    (void)info;
    edit(raw);
}

static void on_segv(int number, siginfo_t *info, void *raw) {
    ucontext_t *context = raw;
    printf("  SEGV code %d addr %lx rip %lx trap %lld\n", info->si_code,
           (unsigned long)info->si_addr,
           info->si_code == SEGV_MAPERR ? (unsigned long)context->uc_mcontext.gregs[REG_RIP] : 0,
           context->uc_mcontext.gregs[REG_TRAPNO]);
    siglongjmp(back, number);
}

static uint8_t *area(ucontext_t *context) {
    return (uint8_t *)context->uc_mcontext.fpregs;
}
static void put32(ucontext_t *context, int at, uint32_t value) {
    memcpy(area(context) + at, &value, 4);
}
static void put64(ucontext_t *context, int at, uint64_t value) {
    memcpy(area(context) + at, &value, 8);
}
static uint32_t get32(ucontext_t *context, int at) {
    uint32_t value;
    memcpy(&value, area(context) + at, 4);
    return value;
}
static uint64_t get64(ucontext_t *context, int at) {
    uint64_t value;
    memcpy(&value, area(context) + at, 8);
    return value;
}

static void unchanged(ucontext_t *context) {
    (void)context;
}
static void rip_kernel(ucontext_t *context) {
    context->uc_mcontext.gregs[REG_RIP] = (long long)0xffffffff81000000ul;
}
static void rip_noncanonical(ucontext_t *context) {
    context->uc_mcontext.gregs[REG_RIP] = (long long)0x4141414141414141ul;
}
static void rip_null(ucontext_t *context) {
    context->uc_mcontext.gregs[REG_RIP] = 0;
}
static void no_fpstate(ucontext_t *context) {
    context->uc_mcontext.fpregs = NULL;
}
static void bad_fpstate(ucontext_t *context) {
    context->uc_mcontext.fpregs = (void *)64;
}
static void kernel_fpstate(ucontext_t *context) {
    context->uc_mcontext.fpregs = (void *)0xffff888000000000ul;
}
static void wild_fpstate(ucontext_t *context) {
    context->uc_mcontext.fpregs = (void *)0x7ffffffff000ul;
}
static void bad_feature(ucontext_t *context) {
    put64(context, XSAVE_HEADER, 1ul << 62 | 3);
}
static void bad_compaction(ucontext_t *context) {
    put64(context, XSAVE_HEADER + 8, 1ul << 63 | 3);
}
static void bad_reserved(ucontext_t *context) {
    put64(context, XSAVE_HEADER + 16, 1);
}
static void no_magic(ucontext_t *context) {
    put32(context, XSAVE_SW, 0);
}
static void no_magic2(ucontext_t *context) {
    put32(context, (int)get32(context, XSAVE_SW + 16), 0);
}
static void huge_size(ucontext_t *context) {
    put32(context, XSAVE_SW + 16, 0x7fffffff);
    put32(context, XSAVE_SW + 4, 0x7fffffff);
}
static void only_sse(ucontext_t *context) {
    put64(context, XSAVE_SW + 8, 2);
}
static void no_sse(ucontext_t *context) {
    put64(context, XSAVE_HEADER, get64(context, XSAVE_HEADER) & ~2ul);
}
static void no_avx(ucontext_t *context) {
    put64(context, XSAVE_HEADER, get64(context, XSAVE_HEADER) & ~4ul);
}
static void change_xmm(ucontext_t *context) {
    put64(context, 160 + 5 * 16, 0x1122334455667788);
}
static void all_flags(ucontext_t *context) {
    context->uc_mcontext.gregs[REG_EFL] = 0x247ad7 & ~0x100; /* no trap flag */
}
static void odd_segments(ucontext_t *context) {
    context->uc_mcontext.gregs[REG_CSGSFS] |= 0x33ul << 16 | 0x33ul << 32;
}
static void small_stack(ucontext_t *context) {
    context->uc_stack.ss_size = 5;
    context->uc_stack.ss_flags = 0;
}
static void altstack(ucontext_t *context) {
    static char stack[16384];
    context->uc_stack.ss_sp = stack;
    context->uc_stack.ss_size = sizeof stack;
    context->uc_stack.ss_flags = 0;
}
static void all_blocked(ucontext_t *context) {
    sigfillset(&context->uc_sigmask);
}

/* Sends the signal with known registers and shows those that came back. */
static void try(const char *what, void (*editor)(ucontext_t *)) {
    edit = editor;
    printf("%s\n", what);
    if (sigsetjmp(back, 1))
        return;
    uint64_t in[4] __attribute__((aligned(32))) = {11, 22, 33, 44},
                   out[4] __attribute__((aligned(32))) = {0}, flags = 0;
    unsigned mxcsr = 0;
    long pid = getpid();
    bool avx = __builtin_cpu_supports("avx");
    if (avx)
        __asm__ volatile("vmovaps (%0), %%ymm5" : : "r"(in) : "xmm5");
    else
        __asm__ volatile("movaps (%0), %%xmm5" : : "r"(in) : "xmm5");
    long result;
    __asm__ volatile("syscall\n\tpushf\n\tpop %1\n\tstmxcsr %2"
                     : "=a"(result), "=r"(flags), "=m"(mxcsr)
                     : "0"((long)SYS_kill), "D"(pid), "S"((long)SIGUSR1)
                     : "rcx", "r11", "memory", "cc");
    if (avx)
        __asm__ volatile("vmovaps %%ymm5, (%0)\n\tvzeroupper" : : "r"(out) : "memory");
    else
        __asm__ volatile("movaps %%xmm5, (%0)" : : "r"(out) : "memory");
    __asm__ volatile("cld\n\tpush $0x202\n\tpopf" : : : "cc", "memory");
    printf("  result %ld registers %lx %lx %lx %lx mxcsr %x flags %lx\n", result, out[0], out[1],
           avx ? out[2] : 33, avx ? out[3] : 44, mxcsr, flags & 0x247f00);
    unsigned normal = 0x1f80;
    __asm__ volatile("ldmxcsr %0" : : "m"(normal));
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct sigaction action = {.sa_sigaction = on_usr1, .sa_flags = SA_SIGINFO};
    MUST(sigaction(SIGUSR1, &action, NULL));
    action.sa_sigaction = on_segv;
    MUST(sigaction(SIGSEGV, &action, NULL));
    try("unchanged", unchanged);
    try("RIP in the kernel", rip_kernel);
    try("RIP not canonical", rip_noncanonical);
    try("RIP null", rip_null);
    try("no extended state", no_fpstate);
    try("bad extended state", bad_fpstate);
    try("extended state in the kernel", kernel_fpstate);
    try("extended state beyond all", wild_fpstate);
    try("bad feature", bad_feature);
    try("bad compaction", bad_compaction);
    try("bad reserved word", bad_reserved);
    try("no magic", no_magic);
    try("no second magic", no_magic2);
    try("huge size", huge_size);
    try("only SSE wanted", only_sse);
    try("no SSE there", no_sse);
    try("no AVX there", no_avx);
    try("changed XMM", change_xmm);
    try("all flags", all_flags);
    try("odd segments", odd_segments);
    try("small stack", small_stack);
    try("alternate stack", altstack);
    stack_t now;
    MUST(sigaltstack(NULL, &now));
    printf("size %zu flags %x\n", now.ss_size, (unsigned)now.ss_flags);
    try("all blocked", all_blocked);
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    printf("blocked USR2 %d KILL %d SEGV %d\n", sigismember(&mask, SIGUSR2),
           sigismember(&mask, SIGKILL), sigismember(&mask, SIGSEGV));
    sigemptyset(&mask);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    title("without a frame");
    pid_t child = fork_flushed();
    if (!child) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGSEGV, SIG_DFL);
        __asm__ volatile("mov $4096, %%rsp\n\tmov $15, %%eax\n\tsyscall" : : : "memory");
        leave_child(0);
    }
    reap("child", child);
    return 0;
}
