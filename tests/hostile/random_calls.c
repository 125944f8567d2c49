/* Every system call number with wild pointers, huge lengths and odd descriptors as arguments. */
#include "hostile.h"

static unsigned long seed;
static char area[1 << 16];

static unsigned long wild(void) {
    const unsigned long pool[] = {0,
                                  1,
                                  8,
                                  4095,
                                  4096,
                                  1ul << 31,
                                  1ul << 32,
                                  1ul << 46,
                                  (1ul << 46) - 1,
                                  (1ul << 46) - 4096,
                                  1ul << 47,
                                  1ul << 63,
                                  -1ul,
                                  -4096ul,
                                  0x100000000000,
                                  0x4ffffffff000,
                                  0x7fffffffe000,
                                  0xffffffff81000000,
                                  0xffff888000000000,
                                  0x8000000000000,
                                  0x3fffffffffff};
    switch (dice(&seed) % 8) {
    case 0:
        return pool[dice(&seed) % (sizeof pool / sizeof *pool)];
    case 1:
        return (unsigned long)area + dice(&seed) % sizeof area;
    case 2:
        return dice(&seed) % 64;
    case 3:
        return 15000 + dice(&seed) % 3000; /* where the monitor's own descriptors may be */
    case 4:
        return dice(&seed);
    case 5:
        return 1ul << dice(&seed) % 64;
    case 6:
        return (unsigned long)-100; /* AT_FDCWD */
    default:
        return (unsigned long)area;
    }
}

/* Those too that wait for ever or stop the ticks. */
static bool left_out(long number) {
    const long list[] = {SYS_pause,   SYS_rt_sigsuspend,    SYS_timer_settime,
                         SYS_seccomp, SYS_remap_file_pages, SYS_pkey_mprotect};
    return is_listed(number, list, sizeof list) || proves_nothing(number);
}

static volatile long *calls; /* shared with the parent */

static void quiet(int signal) {
    (void)signal;
}
static void barrage(void) {
    for (int signal_number = 1; signal_number < 32; signal_number++)
        if (signal_number != SIGALRM && signal_number != SIGSEGV && signal_number != SIGBUS)
            signal(signal_number, quiet);
    struct sigaction tick = {.sa_handler = quiet};
    sigaction(SIGVTALRM, &tick, NULL);
    int null = open("/dev/null", O_RDWR);
    dup2(null, 0), dup2(null, 1), dup2(null, 2);
    struct itimerspec often = {{0, 20000000}, {0, 20000000}};
    timer_t timer;
    struct sigevent how = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGVTALRM};
    timer_create(CLOCK_MONOTONIC, &how, &timer); /* so that nothing blocks for long */
    timer_settime(timer, 0, &often, NULL);
    for (int round = 0; round < 6; round++)
        for (long number = 0; number < 480; number++)
            if (!left_out(number)) {
                syscall(number, wild(), wild(), wild(), wild(), wild(), wild());
                ++*calls;
            }
}

int main(void) {
    calls = MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    int64_t end = now_ms() + 20000;
    for (seed = 1; seed < 200 && *calls < 15000 && now_ms() < end; seed++) {
        pid_t child = fork_flushed();
        if (!child) {
            setpgid(0, 0);
            alarm(2);
            barrage();
            _exit(0);
        }
        while (waitpid(child, NULL, 0) == -1 && errno == EINTR)
            ;
        kill(-child, SIGKILL);
    }
    printf("enough calls %s\n", *calls > 5000 ? "yes" : "NO");
    fprintf(stderr, "%ld calls in %lu processes\n", *calls, seed);
    survived();
    return 0;
}
