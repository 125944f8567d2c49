/* Handlers: nesting, masks, order, one-shot, alternate stacks, what they see and what they may
 * change. */
#include "../check.h"
#include <setjmp.h>
#include <ucontext.h>

static volatile int depth, count;

static void set(int number, void (*handler)(int, siginfo_t *, void *), int flags, int masked) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = flags | SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    if (masked)
        sigaddset(&action.sa_mask, masked);
    MUST(sigaction(number, &action, NULL));
}

static bool is_blocked(int number) {
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    return sigismember(&now, number);
}

static void block(int how, int number) {
    sigset_t some;
    sigemptyset(&some);
    sigaddset(&some, number);
    MUST(sigprocmask(how, &some, NULL));
}

static void inner(int number, siginfo_t *info, void *context) {
    (void)context;
    printf("inner %s depth %d blocked USR1 %d USR2 %d code %d\n", sigabbrev_np(number), depth,
           is_blocked(SIGUSR1), is_blocked(SIGUSR2), info->si_code);
}

static void outer(int number, siginfo_t *info, void *context) {
    (void)context;
    depth++;
    printf("outer %s depth %d code %d own %d\n", sigabbrev_np(number), depth, info->si_code,
           info->si_pid == getpid() && info->si_uid == getuid());
    raise(SIGUSR2);
    printf("outer %s after raise\n", sigabbrev_np(number));
    depth--;
}

static void recursive(int number, siginfo_t *info, void *context) {
    (void)info;
    (void)context;
    printf("recursive %d blocked %d\n", ++count, is_blocked(number));
    if (count < 4)
        raise(number);
}

static void nesting(void) {
    title("nesting");
    set(SIGUSR1, outer, 0, 0);
    set(SIGUSR2, inner, 0, 0);
    raise(SIGUSR1);
    set(SIGUSR1, outer, 0, SIGUSR2);
    raise(SIGUSR1);
    IS(!is_blocked(SIGUSR1) && !is_blocked(SIGUSR2));
    count = 0;
    set(SIGUSR1, recursive, SA_NODEFER, 0);
    raise(SIGUSR1);
    count = 0;
    set(SIGUSR1, recursive, 0, 0);
    raise(SIGUSR1);
    IS(count == 4);
}

static void one_shot(void) {
    title("one shot");
    set(SIGUSR1, inner, SA_RESETHAND, 0);
    raise(SIGUSR1);
    struct sigaction now;
    MUST(sigaction(SIGUSR1, NULL, &now));
    IS(now.sa_handler == SIG_DFL);
    pid_t child = fork_flushed();
    if (!child) {
        raise(SIGUSR1);
        leave_child(0);
    }
    reap("after reset", child);
}

static volatile int order[80], orders, values[80];
static void record(int number, siginfo_t *info, void *context) {
    (void)context;
    order[orders] = number;
    values[orders++] = info->si_value.sival_int;
}

static void queueing(void) {
    title("queueing");
    sigset_t all, pending, old;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &old);
    for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
        set(number, record, 0, 0);
    set(SIGUSR1, record, 0, 0);
    set(SIGUSR2, record, 0, 0);
    orders = 0;
    for (int i = 0; i < 64; i++)
        MUST(sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = i}));
    for (int i = 0; i < 5; i++)
        kill(getpid(), SIGUSR1);
    sigpending(&pending);
    IS(sigismember(&pending, SIGRTMIN + 3) == 1);
    IS(sigismember(&pending, SIGUSR1) == 1);
    IS(sigismember(&pending, SIGUSR2) == 0);
    IS(orders == 0);
    sigprocmask(SIG_SETMASK, &old, NULL);
    IS(orders == 65);
    int ordered = 0, last = -1;
    for (int i = 0; i < orders; i++)
        if (order[i] == SIGRTMIN + 3) {
            ordered += values[i] == last + 1;
            last = values[i];
        }
    printf("real-time in order: %d\n", ordered);

    /* Different numbers at once: Linux stacks the frames, lowest first, so the highest runs first.
     */
    sigprocmask(SIG_BLOCK, &all, &old);
    orders = 0;
    for (int i = 0; i <= SIGRTMAX - SIGRTMIN; i++)
        MUST(sigqueue(getpid(), SIGRTMAX - i, (union sigval){.sival_int = 100 + i}));
    raise(SIGUSR2);
    sigprocmask(SIG_SETMASK, &old, NULL);
    for (int i = 0; i < orders; i++)
        printf("%s%d", i ? " " : "", order[i]);
    printf("\n");
}

static sigjmp_buf back;
static void jump(int number, siginfo_t *info, void *context) {
    (void)info;
    (void)context;
    siglongjmp(back, number);
}

static void jumping(void) {
    title("siglongjmp");
    set(SIGUSR1, jump, 0, 0);
    for (volatile int i = 0; i < 3; i++) {
        int number = sigsetjmp(back, 1);
        if (!number)
            raise(SIGUSR1);
        printf("back with %d blocked %d\n", number, is_blocked(SIGUSR1));
    }
    int number = sigsetjmp(back, 0);
    if (!number)
        raise(SIGUSR1);
    printf("mask not saved: blocked %d\n", is_blocked(SIGUSR1));
    block(SIG_UNBLOCK, SIGUSR1);
}

static char stack[65536] __attribute__((aligned(16)));
static void on_stack(int number, siginfo_t *info, void *raw) {
    (void)info;
    char here;
    ucontext_t *context = raw;
    stack_t now;
    MUST(sigaltstack(NULL, &now));
    printf("%s inside %d flags %x frame inside %d uc_stack %d size %zu\n", sigabbrev_np(number),
           &here >= stack && &here < stack + sizeof stack, now.ss_flags,
           (char *)context >= stack && (char *)context < stack + sizeof stack,
           context->uc_stack.ss_sp == stack, context->uc_stack.ss_size);
    if (now.ss_flags == SS_ONSTACK) {
        stack_t other = {.ss_sp = stack, .ss_size = sizeof stack / 2};
        SHOW(sigaltstack(&other, NULL));
    }
}

static void alternate(void) {
    title("alternate stack");
    stack_t mine = {.ss_sp = stack, .ss_size = sizeof stack}, old;
    SHOW(sigaltstack(NULL, &old));
    IS(old.ss_flags == SS_DISABLE);
    stack_t small = {.ss_sp = stack, .ss_size = 100},
            odd = {.ss_sp = stack, .ss_size = sizeof stack, .ss_flags = 4};
    SHOW(sigaltstack(&small, NULL));
    SHOW(sigaltstack(&odd, NULL));
    SHOW(syscall(SYS_sigaltstack, 1, NULL));
    SHOW(syscall(SYS_sigaltstack, NULL, 1));
    SHOW(sigaltstack(&mine, NULL));
    set(SIGUSR1, on_stack, SA_ONSTACK, 0);
    raise(SIGUSR1);
    set(SIGUSR1, on_stack, 0, 0);
    raise(SIGUSR1);
    mine.ss_flags = SS_ONSTACK;
    SHOW(sigaltstack(&mine, &old));
    IS(old.ss_sp == stack && old.ss_flags == 0);
    mine.ss_flags = (int)(1u << 31); /* SS_AUTODISARM */
    SHOW(sigaltstack(&mine, NULL));
    set(SIGUSR1, on_stack, SA_ONSTACK, 0);
    raise(SIGUSR1);
    SHOW(sigaltstack(NULL, &old));
    printf("afterwards flags %x mine %d\n", (unsigned)old.ss_flags, old.ss_sp == stack);
    mine.ss_flags = SS_DISABLE;
    SHOW(sigaltstack(&mine, NULL));
}

static void change(int number, siginfo_t *info, void *raw) {
    (void)number;
    (void)info;
    ucontext_t *context = raw;
    sigaddset(&context->uc_sigmask, SIGUSR2);
    sigaddset(&context->uc_sigmask, SIGKILL);
    context->uc_mcontext.gregs[REG_R12] = 0x1234567890;
    context->uc_mcontext.gregs[REG_RIP] += 2;
    context->uc_mcontext.gregs[REG_EFL] |= 0x3001 | 1 << 14; /* CF, and IOPL and NT, which stay 0 */
}

static void changing(void) {
    title("changing the context");
    set(SIGILL, change, 0, 0);
    long r12 = 1, flags;
    __asm__ volatile("mov $5, %%r12\n\tclc\n\tud2\n\tpushf\n\tpop %1\n\tmov %%r12, %0"
                     : "=r"(r12), "=r"(flags)
                     :
                     : "r12", "memory", "cc");
    printf("r12 %lx carry %ld others %lx\n", r12, flags & 1, flags & 0x7000);
    IS(is_blocked(SIGUSR2) && !is_blocked(SIGKILL));
    block(SIG_UNBLOCK, SIGUSR2);
}

static void flags_in_handler(int number, siginfo_t *info, void *raw) {
    (void)number;
    (void)info;
    unsigned long flags, sp = (unsigned long)__builtin_frame_address(0);
    unsigned mxcsr = 0;
    unsigned short control = 0;
    __asm__ volatile("pushf\n\tpop %0" : "=r"(flags));
    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(mxcsr), "=m"(control));
    ucontext_t *context = raw;
    printf("direction %lu aligned %d mxcsr %x control %x saved direction %llu uc_flags %lx\n",
           flags >> 10 & 1, sp % 16 == 0, mxcsr, control,
           (unsigned long long)(context->uc_mcontext.gregs[REG_EFL] >> 10 & 1), context->uc_flags);
    printf("segments %llx\n", (unsigned long long)context->uc_mcontext.gregs[REG_CSGSFS] & 0xffff);
    IS(context->uc_link == NULL);
    IS((unsigned long)context->uc_mcontext.fpregs % 64 == 0);
}

static void entry_state(void) {
    title("state at entry");
    set(SIGILL, flags_in_handler, 0, 0);
    set(SIGTRAP, flags_in_handler, 0, 0);
    unsigned mxcsr = 0x3f80, after = 0;
    unsigned short control = 0x27f, control_after = 0;
    unsigned long flags = 0;
    __asm__ volatile("ldmxcsr %3\n\tfldcw %4\n\tstd\n\tint3\n\tpushf\n\tpop %2\n\tcld\n\t"
                     "stmxcsr %0\n\tfnstcw %1"
                     : "=m"(after), "=m"(control_after), "=r"(flags)
                     : "m"(mxcsr), "m"(control)
                     : "memory", "cc");
    printf("afterwards mxcsr %x control %x direction %lu\n", after, control_after, flags >> 10 & 1);
    mxcsr = 0x1f80;
    control = 0x37f;
    __asm__ volatile("ldmxcsr %0\n\tfldcw %1" : : "m"(mxcsr), "m"(control));
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    nesting();
    one_shot();
    queueing();
    jumping();
    alternate();
    changing();
    entry_state();
    return 0;
}
