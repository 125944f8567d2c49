/* Synchronous faults: signal, si_code and si_addr of each; handlers that repair and resume. */
#include "check.h"
#include <setjmp.h>
#include <ucontext.h>

#define PAGE 4096ul
#define RW (PROT_READ | PROT_WRITE)
static sigjmp_buf back;
static siginfo_t seen;
static long trap_number;
static unsigned long error_code;

static void on_fault(int signal, siginfo_t *info, void *context) {
    (void)signal;
    seen = *info;
    trap_number = ((ucontext_t *)context)->uc_mcontext.gregs[REG_TRAPNO];
    error_code = (unsigned long)((ucontext_t *)context)->uc_mcontext.gregs[REG_ERR];
    if (trap_number == 14)
        error_code &=
            ~1ul; /* whether the page was present: depends on what was touched or copied before */
    siglongjmp(back, 1);
}

static void report(const char *name, const void *expected) {
    printf("%s: %s code %d trap %ld error %lx address %s\n", name, sigabbrev_np(seen.si_signo),
           seen.si_code, trap_number, error_code, seen.si_addr == expected ? "right" : "WRONG");
    if (seen.si_addr != expected)
        fprintf(stderr, "%s: got %p, not %p\n", name, seen.si_addr, expected);
}
#define FAULT(name, expected, action)                                                              \
    do {                                                                                           \
        if (!sigsetjmp(back, 1)) {                                                                 \
            action;                                                                                \
            printf("%s: no fault\n", name);                                                        \
        } else {                                                                                   \
            report(name, (const void *)(expected));                                                \
        }                                                                                          \
    } while (0)

static inline void load(const volatile void *at) {
    (void)*(const volatile char *)at;
}
static inline void store(volatile void *at) {
    *(volatile char *)at = 1;
}
static inline void jump(const void *at) {
    ((void (*)(void))(uintptr_t)at)();
}

static void memory(void) {
    title("memory");
    char *none = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *read_only = mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *gone = mmap(NULL, 3 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *data = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(gone + PAGE, PAGE);
    FAULT("load NULL", NULL, load(NULL));
    FAULT("store 8", 8, store((char *)8));
    FAULT("load unmapped", gone + PAGE + 123, load(gone + PAGE + 123));
    FAULT("store unmapped", gone + PAGE + 7, store(gone + PAGE + 7));
    FAULT("load PROT_NONE", none + 5, load(none + 5));
    FAULT("store read-only", read_only + 4095, store(read_only + 4095));
    FAULT("load read-only", NULL, load(read_only));
    FAULT("load far", 1ul << 40, load((char *)(1ul << 40)));
    FAULT("load top", 0x7ffffffff123, load((char *)0x7ffffffff123));
    FAULT("non-canonical", NULL, load((char *)0x8000000000000000));
    FAULT("kernel half", 0xffff800000000000, load((char *)0xffff800000000000));
    FAULT("across a page", gone + PAGE, *(volatile uint64_t *)(gone + PAGE - 4));
    FAULT("jump NULL", NULL, jump(NULL));
    FAULT("jump data", data, jump(data));
    FAULT("jump unmapped", gone + PAGE, jump(gone + PAGE));
    munmap(gone, PAGE);
    FAULT("store first", gone, store(gone));
    mprotect(read_only + PAGE, PAGE, RW);
    store(read_only + PAGE);
    mprotect(read_only + PAGE, PAGE, PROT_READ);
    FAULT("store after mprotect", read_only + PAGE + 9, store(read_only + PAGE + 9));
}

static void files(void) {
    title("files");
    int fd = MUST(open("f", O_RDWR | O_CREAT, 0600));
    MUST(ftruncate(fd, PAGE + 100));
    char *map = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, fd, 0);
    char *copy = mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE, fd, 0);
    load(map + PAGE + 4000);
    FAULT("load past the end", map + 2 * PAGE + 3, load(map + 2 * PAGE + 3));
    FAULT("store past the end", map + 3 * PAGE, store(map + 3 * PAGE));
    FAULT("private past the end", copy + 2 * PAGE, store(copy + 2 * PAGE));
    store(map);
    MUST(ftruncate(fd, 0));
    FAULT("after truncation", map + 1, load(map + 1));
    MUST(ftruncate(fd, 3 * PAGE));
    FAULT("grown again", NULL, load(map + 2 * PAGE));
    int reader = MUST(open("f", O_RDONLY));
    char *view = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, reader, 0);
    FAULT("store shared read-only", view + 1, store(view + 1));
    SHOW(pread(fd, map + 3 * PAGE, 4, 0));
    SHOW(write(fd, map + 3 * PAGE, 4));
}

static void arithmetic(void) {
    title("arithmetic and traps");
    extern char ud_here[], zero_here[], overflow_here[];
    FAULT("1/0", zero_here, __asm__ volatile("zero_here: idivl %%ecx" ::"a"(1), "d"(0), "c"(0)));
    FAULT("overflow", overflow_here,
          __asm__ volatile("overflow_here: idivl %%ecx" ::"a"(INT32_MIN), "d"(-1), "c"(-1)));
    FAULT("ud2", ud_here, __asm__ volatile("ud_here: ud2"));
    FAULT("int3", NULL, __asm__ volatile("int3"));
    FAULT("hlt", NULL, __asm__ volatile("hlt"));
    FAULT("cli", NULL, __asm__ volatile("cli"));
    FAULT("in", NULL, __asm__ volatile("inb $0x60, %%al" ::: "rax"));
    FAULT("rdmsr", NULL, __asm__ volatile("rdmsr" ::"c"(0x10) : "rax", "rdx"));
    FAULT("int 0x21", NULL, __asm__ volatile("int $0x21"));
}

/* A handler that makes the page accessible: the instruction is made again and succeeds. */
static char *lazy;
static volatile int repairs;
static void on_lazy(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    repairs++;
    mprotect((void *)((uintptr_t)info->si_addr & ~(PAGE - 1)), PAGE, RW);
}
static void repairing(void) {
    title("repairing");
    struct sigaction action = {.sa_sigaction = on_lazy, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    lazy = mmap(NULL, 64 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    long sum = 0;
    for (int i = 0; i < 64; i++) {
        lazy[i * PAGE + i] = (char)i;
        sum += lazy[i * PAGE + i];
    }
    printf("repairs %d sum %ld\n", repairs, sum);
}

static void deadly(void) {
    title("uncaught");
    signal(SIGSEGV, SIG_DFL);
    pid_t child = fork_flushed();
    if (!child) {
        store((char *)16);
        leave_child(0);
    }
    reap("store", child);
    child = fork_flushed();
    if (!child) {
        signal(SIGSEGV, SIG_IGN); /* ignoring a synchronous one does not help */
        store((char *)16);
        leave_child(0);
    }
    reap("ignored", child);
    child = fork_flushed();
    if (!child) {
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_BLOCK, &all, NULL);
        __asm__ volatile("ud2");
    }
    reap("blocked", child);
}

int main(void) {
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &action, NULL);
    enter_directory();
    memory();
    files();
    arithmetic();
    repairing();
    deadly();
    check_leave();
    return 0;
}
