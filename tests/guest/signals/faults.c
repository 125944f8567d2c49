/* Faults: exact codes and addresses, handlers that mend or jump, stack overflow, forced ends. */
#include "../check.h"
#include <setjmp.h>
#include <sys/resource.h>
#include <ucontext.h>

static sigjmp_buf back;
static char *expected;
static volatile int seen_signal, seen_code;
static volatile long seen_offset, seen_trap, seen_error, seen_cr2;

static void catch (int number, siginfo_t *info, void *raw) {
    ucontext_t *context = raw;
    seen_signal = number;
    seen_code = info->si_code;
    seen_offset = (char *)info->si_addr - expected;
    seen_trap = context->uc_mcontext.gregs[REG_TRAPNO];
    seen_error = context->uc_mcontext.gregs[REG_ERR] & ~1; /* present or not is the host's affair */
    seen_cr2 = (char *)context->uc_mcontext.gregs[REG_CR2] - expected;
    siglongjmp(back, 1);
}

static void show(const char *what) {
    printf("%s: %s code %d offset %ld trap %ld error %lx cr2 %ld\n", what,
           sigabbrev_np(seen_signal), seen_code, seen_offset, seen_trap, seen_error,
           seen_trap == 14 ? seen_cr2 : 0);
}

#define TRY(what, at, ...)                                                                         \
    do {                                                                                           \
        expected = (char *)(at);                                                                   \
        seen_signal = 0;                                                                           \
        if (!sigsetjmp(back, 1)) {                                                                 \
            __VA_ARGS__;                                                                           \
            printf("%s: no fault\n", what);                                                        \
        } else {                                                                                   \
            show(what);                                                                            \
        }                                                                                          \
    } while (0)

static void set(int number, int flags) {
    struct sigaction action = {.sa_sigaction = catch, .sa_flags = flags | SA_SIGINFO};
    MUST(sigaction(number, &action, NULL));
}

static volatile int zero, sink;

static void memory(void) {
    title("memory");
    char *page =
        MUST(mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    MUST(munmap(page + 2 * 4096, 4096));
    MUST(mprotect(page + 4096, 4096, PROT_NONE));
    volatile char *at = page;
    TRY("write to NULL", NULL, *(volatile char *)NULL = 1);
    TRY("read low", 0x123, sink = *(volatile char *)0x123);
    TRY("write PROT_NONE", page + 4096 + 77, at[4096 + 77] = 1);
    TRY("read PROT_NONE", page + 4096, sink = at[4096]);
    TRY("read unmapped", page + 2 * 4096 + 5, sink = at[2 * 4096 + 5]);
    MUST(mprotect(page, 4096, PROT_READ));
    sink = at[0];
    TRY("write read-only", page + 9, at[9] = 1);
    TRY("straddling write", page + 4096, *(volatile long *)(page + 4096 - 3) = 1);
    TRY("execute data", page, ((void (*)(void))page)());
    TRY("call NULL", NULL, ((void (*)(void))(long)zero)());
    TRY("jump to unmapped", page + 2 * 4096, ((void (*)(void))(page + 2 * 4096))());
    TRY("non-canonical read", NULL, sink = *(volatile char *)0x8000000000000000ul);
    TRY("kernel half read", 0xffff800000000000ul, sink = *(volatile char *)0xffff800000000000ul);
    TRY("string instruction", page + 4096, {
        char *to = page + 4096 - 4;
        MUST(mprotect(page, 4096, PROT_READ | PROT_WRITE));
        long count = 16;
        __asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(0) : "memory");
    });
}

static void files(void) {
    title("files");
    enter_directory();
    int fd = MUST(open("f", O_RDWR | O_CREAT, 0600));
    MUST(ftruncate(fd, 5000));
    char *map = MUST(mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    volatile char *at = map;
    at[0] = 1;
    at[4999] = 2;
    at[8191] = 3;
    TRY("read past the end", map + 8192 + 7, sink = at[8192 + 7]);
    TRY("write past the end", map + 3 * 4096, at[3 * 4096] = 1);
    MUST(ftruncate(fd, 100));
    TRY("truncated", map + 4096, sink = at[4096]);
    MUST(ftruncate(fd, 16384));
    TRY("grown", map + 4096, sink = at[4096]);
    char *readonly = MUST(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0));
    TRY("write to read-only file map", readonly + 1, *(volatile char *)(readonly + 1) = 1);
    MUST(chdir("/"));
    check_leave();
}

static void instructions(void) {
    title("instructions");
    char *here;
    __asm__ volatile("lea 1f(%%rip), %0\n1:" : "=r"(here));
    seen_offset = 0;
    expected = NULL;
    if (!sigsetjmp(back, 1))
        __asm__ volatile("ud2");
    else
        printf("ud2: %s code %d trap %ld\n", sigabbrev_np(seen_signal), seen_code, seen_trap);
    if (!sigsetjmp(back, 1))
        sink = 5 / zero;
    else
        printf("division: %s code %d trap %ld\n", sigabbrev_np(seen_signal), seen_code, seen_trap);
    if (!sigsetjmp(back, 1))
        __asm__ volatile("int3");
    else
        printf("int3: %s code %d trap %ld\n", sigabbrev_np(seen_signal), seen_code, seen_trap);
    if (!sigsetjmp(back, 1))
        __asm__ volatile("hlt");
    else
        printf("hlt: %s code %d trap %ld addr %ld\n", sigabbrev_np(seen_signal), seen_code,
               seen_trap, seen_offset);
    if (!sigsetjmp(back, 1))
        __asm__ volatile("mov %0, %%cr3" : : "r"(0l));
    else
        printf("mov cr3: %s code %d trap %ld\n", sigabbrev_np(seen_signal), seen_code, seen_trap);
    if (!sigsetjmp(back, 1))
        __asm__ volatile("outb %%al, $0x80" : : "a"(0));
    else
        printf("out: %s code %d trap %ld\n", sigabbrev_np(seen_signal), seen_code, seen_trap);
    if (!sigsetjmp(back, 1)) {
        unsigned mxcsr = 0x1f80 & ~0x200;
        volatile double none = 0, result;
        __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
        result = 1.0 / none;
        sink = result > 0;
    } else {
        printf("SSE division: %s code %d trap %ld\n", sigabbrev_np(seen_signal), seen_code,
               seen_trap);
    }
}

static char *mended;
static volatile int mends;
static void mend(int number, siginfo_t *info, void *context) {
    (void)number;
    (void)context;
    mends++;
    char *page = (char *)((uintptr_t)info->si_addr & ~4095ul);
    if (mprotect(page, 4096, PROT_READ | PROT_WRITE) != 0)
        _exit(9);
}

static void mending(void) {
    title("mending");
    struct sigaction action = {.sa_sigaction = mend, .sa_flags = SA_SIGINFO};
    MUST(sigaction(SIGSEGV, &action, NULL));
    mended = MUST(mmap(NULL, 64 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    for (int i = 0; i < 64; i++)
        mended[i * 4096 + i] = (char)i;
    long sum = 0;
    for (int i = 0; i < 64; i++)
        sum += mended[i * 4096 + i];
    printf("mends %d sum %ld\n", mends, sum);
    int fd[2];
    MUST(pipe(fd));
    MUST(write(fd[1], "data", 4));
    MUST(mprotect(mended, 4096, PROT_NONE));
    SHOW(read(fd[0], mended, 4)); /* calls answer EFAULT, they do not fault */
    printf("mends %d\n", mends);
}

static char stack[65536];
static char *bottom;
static void overflowed(int number, siginfo_t *info, void *raw) {
    ucontext_t *context = raw;
    long distance = (char *)info->si_addr - (char *)context->uc_mcontext.gregs[REG_RSP];
    printf("overflow: %s code %d near the stack pointer %d on the alternate stack %d\n",
           sigabbrev_np(number), info->si_code, distance > -65536 && distance < 65536,
           (char *)&number >= stack && (char *)&number < stack + sizeof stack);
    siglongjmp(back, 1);
}

static __attribute__((noinline)) long recurse(long depth) {
    volatile char frame[1024];
    frame[0] = (char)depth;
    return depth < 0 ? 0 : recurse(depth + 1) + frame[0];
}

static void overflow(void) {
    title("stack overflow");
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_STACK, &limit));
    stack_t mine = {.ss_sp = stack, .ss_size = sizeof stack};
    MUST(sigaltstack(&mine, NULL));
    struct sigaction action = {.sa_sigaction = overflowed, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    MUST(sigaction(SIGSEGV, &action, NULL));
    for (volatile int i = 0; i < 3; i++)
        if (!sigsetjmp(back, 1))
            sink = (int)recurse(0);
    (void)bottom;
    pid_t child = fork_flushed();
    if (!child) {
        action.sa_flags = SA_SIGINFO; /* on the full stack: no frame can be made */
        sigaction(SIGSEGV, &action, NULL);
        sink = (int)recurse(0);
        leave_child(0);
    }
    reap("without an alternate stack", child);
}

static void child_fault(const char *what, void (*prepare)(void)) {
    pid_t child = fork_flushed();
    if (!child) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        prepare();
        *(volatile char *)8 = 1;
        leave_child(0);
    }
    reap(what, child);
}
static void with_default(void) {
    signal(SIGSEGV, SIG_DFL);
}
static void with_ignore(void) {
    signal(SIGSEGV, SIG_IGN);
    raise(SIGSEGV);
}
static void with_block(void) {
    sigset_t set;
    sigfillset(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(SIGSEGV); /* stays pending */
    sigpending(&set);
    if (!sigismember(&set, SIGSEGV))
        _exit(4);
}
static void faults_again(int number) {
    (void)number;
    *(volatile char *)16 = 1;
}
static void with_faulting_handler(void) {
    signal(SIGSEGV, faults_again);
}
static void with_bad_handler(void) {
    struct sigaction action = {.sa_handler = (void (*)(int))0x8000000000000000ul};
    sigaction(SIGSEGV, &action, NULL);
}
static void with_bad_stack(void) {
    set(SIGSEGV, 0);
    __asm__ volatile("mov $64, %%rsp\n\tmovb $1, 8" : : : "memory");
}
static void with_abort(void) {
    abort();
}

static void ends(void) {
    title("forced ends");
    child_fault("default", with_default);
    child_fault("ignored", with_ignore);
    child_fault("blocked", with_block);
    child_fault("faulting handler", with_faulting_handler);
    child_fault("bad handler", with_bad_handler);
    child_fault("bad stack", with_bad_stack);
    child_fault("abort", with_abort);
}

static volatile int got;
static void count(int number, siginfo_t *info, void *context) {
    (void)context;
    got = number * 1000 + info->si_code;
}
static void sent(void) {
    title("sent, not raised");
    int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGSTKFLT};
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct sigaction action = {.sa_sigaction = count, .sa_flags = SA_SIGINFO};
        MUST(sigaction(numbers[i], &action, NULL));
        got = 0;
        kill(getpid(), numbers[i]);
        printf("%s kill %d", sigabbrev_np(numbers[i]), got);
        raise(numbers[i]);
        printf(" raise %d", got);
        sigset_t one, old, pending;
        sigemptyset(&one);
        sigaddset(&one, numbers[i]);
        sigprocmask(SIG_BLOCK, &one, &old);
        got = 0;
        sigqueue(getpid(), numbers[i], (union sigval){.sival_int = 5});
        sigpending(&pending);
        printf(" blocked %d pending %d", got, sigismember(&pending, numbers[i]));
        siginfo_t info;
        struct timespec none = {0, 0};
        int taken = sigtimedwait(&one, &info, &none);
        printf(" taken %d value %d", taken, info.si_value.sival_int);
        raise(numbers[i]);
        sigprocmask(SIG_SETMASK, &old, NULL);
        printf(" unblocked %d\n", got);
        siginfo_t forged = {.si_signo = numbers[i], .si_code = 1};
        syscall(SYS_rt_tgsigqueueinfo, getpid(), getpid(), numbers[i], &forged);
        printf("forged %d\n", got);
    }
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    set(SIGSEGV, 0);
    set(SIGBUS, 0);
    set(SIGFPE, 0);
    set(SIGILL, 0);
    set(SIGTRAP, 0);
    memory();
    files();
    instructions();
    mending();
    overflow();
    ends();
    sent();
    return 0;
}
