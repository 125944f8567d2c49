/* Signals as fast as another process can send them, while calls, faults, masks and registers are
 * checked: every call is made exactly once, no handler runs while it is blocked, nothing is left
 * behind. */
#include "../check.h"
#include <pthread.h>
#include <setjmp.h>
#include <sys/resource.h>

static volatile long handled;
static volatile bool forbidden, broken;

static void on_usr1(int number) {
    (void)number;
    handled++;
    if (forbidden)
        broken = true;
}

static pid_t start_sender(void) {
    pid_t parent = getpid(), child = fork_flushed();
    if (!child) {
        while (kill(parent, SIGUSR1) == 0)
            for (volatile int i = 0; i < 2000; i++)
                ;
        _exit(0);
    }
    return child;
}

static void stop_sender(pid_t child) {
    kill(child, SIGKILL);
    int status;
    while (waitpid(child, &status, 0) == -1 && errno == EINTR)
        ;
}

static void calls(long enough) {
    int fd[2], wrong = 0;
    MUST(pipe(fd));
    pid_t self = getpid();
    long until = handled + enough;
    for (long i = 0; handled < until; i++) {
        long value = i, back = -1;
        if (write(fd[1], &value, sizeof value) != sizeof value ||
            read(fd[0], &back, sizeof back) != sizeof back || back != value)
            wrong++;
        if (syscall(SYS_getpid) != self)
            wrong++;
        off_t at = lseek(fd[0], 0, SEEK_CUR);
        if (at != -1 || errno != ESPIPE)
            wrong++;
    }
    close(fd[0]);
    close(fd[1]);
    printf("calls wrong %d\n", wrong);
}

static sigjmp_buf back;
static volatile long faults;
static char *volatile expected;
static volatile int wrong_address;
static void on_segv(int number, siginfo_t *info, void *context) {
    (void)number;
    (void)context;
    faults++;
    if (info->si_addr != expected)
        wrong_address++;
    siglongjmp(back, 1);
}

static void faulting(long enough) {
    struct sigaction action = {.sa_sigaction = on_segv, .sa_flags = SA_SIGINFO};
    MUST(sigaction(SIGSEGV, &action, NULL));
    char *page = MUST(mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    volatile long made = 0;
    faults = 0;
    long until = handled + enough;
    while (handled < until) {
        expected = page + made % 4096;
        made++;
        if (!sigsetjmp(back, 1))
            *(volatile char *)expected = 1;
    }
    printf("faults equal %d wrong address %d\n", faults == made, wrong_address);
    signal(SIGSEGV, SIG_DFL);
}

static void masks(long enough) {
    sigset_t one, old, pending;
    sigemptyset(&one);
    sigaddset(&one, SIGUSR1);
    long until = handled + enough, seen_pending = 0;
    for (int round = 0; handled < until || (!seen_pending && round < 100000); round++) {
        sigprocmask(SIG_BLOCK, &one, &old);
        forbidden = true;
        for (int i = 0; i < 5; i++) {
            syscall(SYS_getppid);
            sigpending(&pending);
            seen_pending += sigismember(&pending, SIGUSR1);
        }
        forbidden = false;
        sigprocmask(SIG_SETMASK, &old, NULL);
    }
    printf("ran while blocked %d, was pending %d\n", broken, seen_pending > 0);
}

static void registers(long enough) {
    long wrong = 0, until = handled + enough;
    while (handled < until) {
        register long a __asm__("rbx") = 0x1111, b __asm__("r12") = 0x2222,
                        c __asm__("r13") = 0x3333, d __asm__("r14") = 0x4444,
                        e __asm__("r15") = 0x5555;
        unsigned long rcx = 7, flags_before, flags_after;
        __asm__ volatile("mov $0x6666, %%r8\n\tmov $0x7777, %%r9\n\tstc\n\tpushf\n\tpop %6\n\tmov "
                         "$2000, %%rcx\n1:\tlea -1(%%rcx), %%rcx\n\tjrcxz 2f\n\tjmp 1b\n"
                         "2:\tpushf\n\tpop %7\n\tlea (%%r8,%%r9), %5"
                         : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "=&r"(rcx),
                           "=&r"(flags_before), "=&r"(flags_after)
                         :
                         : "rcx", "r8", "r9", "cc", "memory");
        if (a != 0x1111 || b != 0x2222 || c != 0x3333 || d != 0x4444 || e != 0x5555 ||
            rcx != 0x6666 + 0x7777 || flags_before != flags_after)
            wrong++;
    }
    printf("registers wrong %ld\n", wrong);
}

/* The red zone below the stack pointer belongs to leaf functions. */
static void red_zone(long enough) {
    long wrong = 0, until = handled + enough;
    while (handled < until) {
        long result;
        __asm__ volatile("movq $0x1234, -128(%%rsp)\n\tmovq $0x5678, -8(%%rsp)\n\tmov $2000, "
                         "%%ecx\n1:\tdec %%ecx\n\tjnz 1b\n\t"
                         "mov -128(%%rsp), %0\n\tadd -8(%%rsp), %0"
                         : "=&r"(result)
                         :
                         : "rcx", "cc", "memory");
        wrong += result != 0x1234 + 0x5678;
    }
    printf("red zone wrong %ld\n", wrong);
}

static void forks(long enough) {
    long until = handled + enough;
    int wrong = 0;
    while (handled < until) {
        pid_t child = MUST(fork());
        if (!child)
            _exit(handled >= 0 ? 5 : 6);
        int status = 0;
        while (waitpid(child, &status, 0) == -1 && errno == EINTR)
            ;
        wrong += !WIFEXITED(status) || WEXITSTATUS(status) != 5;
    }
    printf("forks wrong %d\n", wrong);
}

static void *nothing(void *argument) {
    return argument;
}
static void threads(long enough) {
    long until = handled + enough;
    int wrong = 0;
    while (handled < until) {
        pthread_t thread;
        void *result = NULL;
        if (pthread_create(&thread, NULL, nothing, &wrong) != 0 ||
            pthread_join(thread, &result) != 0 || result != &wrong)
            wrong++;
    }
    printf("threads wrong %d\n", wrong);
}

/* Absolute: a relative sleep that is interrupted faster than the timer slack never ends on Linux.
 */
static void sleeping(long enough) {
    long until = handled + enough;
    int wrong = 0;
    while (handled < until) {
        struct timespec end, now;
        clock_gettime(CLOCK_MONOTONIC, &end);
        end.tv_nsec += 5000000;
        end.tv_sec += end.tv_nsec / 1000000000;
        end.tv_nsec %= 1000000000;
        int result;
        while ((result = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL)) == EINTR)
            ;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (result || now.tv_sec < end.tv_sec ||
            (now.tv_sec == end.tv_sec && now.tv_nsec < end.tv_nsec))
            wrong++;
    }
    printf("sleeps wrong %d\n", wrong);
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct sigaction action = {.sa_handler = on_usr1, .sa_flags = SA_RESTART};
    MUST(sigaction(SIGUSR1, &action, NULL));
    pid_t sender = start_sender();
    calls(500);
    faulting(300);
    masks(300);
    registers(500);
    red_zone(300);
    forks(50);
    threads(100);
    sleeping(100);
    stop_sender(sender);
    return 0;
}
