/* The calls' own errors, errno by errno. */
#include "../check.h"
#include <sys/signalfd.h>
#include <sys/epoll.h>
#include <poll.h>

static void nothing(int number) {
    (void)number;
}

static void actions(void) {
    title("rt_sigaction");
    struct {
        void *handler;
        unsigned long flags;
        void *restorer;
        unsigned long mask;
    } action = {0}, old;
    SHOW(syscall(SYS_rt_sigaction, SIGUSR1, &action, &old, 8));
    SHOW(syscall(SYS_rt_sigaction, SIGUSR1, &action, &old, 4));
    SHOW(syscall(SYS_rt_sigaction, 0, &action, NULL, 8));
    SHOW(syscall(SYS_rt_sigaction, 65, NULL, NULL, 8));
    SHOW(syscall(SYS_rt_sigaction, 64, &action, NULL, 8));
    SHOW(syscall(SYS_rt_sigaction, SIGKILL, &action, NULL, 8));
    SHOW(syscall(SYS_rt_sigaction, SIGSTOP, &action, NULL, 8));
    SHOW(syscall(SYS_rt_sigaction, SIGKILL, NULL, &old, 8));
    SHOW(syscall(SYS_rt_sigaction, SIGUSR1, 1, NULL, 8));
    SHOW(syscall(SYS_rt_sigaction, SIGUSR1, NULL, 1, 8));
    SHOW(syscall(SYS_rt_sigaction, 65, 1, NULL, 8));
    action.handler = nothing;
    action.flags = 0xffffffffu & ~0x00000400u;
    action.mask = ~0ul;
    SHOW(syscall(SYS_rt_sigaction, SIGUSR1, &action, NULL, 8));
    SHOW(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &old, 8));
    printf("flags %lx mask %lx\n", old.flags, old.mask);
    memset(&action, 0, sizeof action);
    SHOW(syscall(SYS_rt_sigaction, SIGUSR1, &action, NULL, 8));
}

static void masks(void) {
    title("rt_sigprocmask");
    unsigned long set = ~0ul, old = 0;
    SHOW(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, &old, 8));
    printf("was %lx\n", old);
    SHOW(syscall(SYS_rt_sigprocmask, 99, NULL, &old, 8));
    printf("is %lx\n", old);
    set = 0xff;
    SHOW(syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &set, NULL, 8));
    SHOW(syscall(SYS_rt_sigprocmask, SIG_SETMASK, NULL, &old, 8));
    printf("is %lx\n", old);
    SHOW(syscall(SYS_rt_sigprocmask, 3, &set, &old, 8));
    SHOW(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &set, &old, 16));
    SHOW(syscall(SYS_rt_sigprocmask, SIG_SETMASK, 1, NULL, 8));
    SHOW(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &set, 1, 8));
    SHOW(syscall(SYS_rt_sigprocmask, SIG_SETMASK, NULL, &old, 8));
    printf("is %lx\n", old);
    set = 0;
    SHOW(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &set, NULL, 8));
    SHOW(syscall(SYS_rt_sigpending, &old, 8));
    SHOW(syscall(SYS_rt_sigpending, &old, 9));
    SHOW(syscall(SYS_rt_sigpending, 1, 8));
    SHOW(syscall(SYS_rt_sigpending, &old, 4));
    SHOW(syscall(SYS_rt_sigsuspend, 1, 8));
    SHOW(syscall(SYS_rt_sigsuspend, &set, 7));
}

static void killing(void) {
    title("kill");
    pid_t self = getpid();
    SHOW(kill(self, 0));
    SHOW(kill(self, 65));
    SHOW(kill(self, -1));
    SHOW(kill(0x3ffffff, 0));
    SHOW(kill(0x3ffffff, SIGKILL));
    SHOW(kill(-0x3ffffff, SIGTERM));
    SHOW(kill((int)0x80000000, SIGTERM));
    SHOW(syscall(SYS_tgkill, self, self, 0));
    SHOW(syscall(SYS_tgkill, self, 0x3ffffff, SIGKILL));
    SHOW(syscall(SYS_tgkill, -1, self, 0));
    SHOW(syscall(SYS_tgkill, self, 0, SIGKILL));
    SHOW(syscall(SYS_tkill, 0, 0));
    SHOW(syscall(SYS_tkill, self, 0));
    SHOW(syscall(SYS_tkill, 0x3ffffff, SIGKILL));
    siginfo_t info = {.si_signo = SIGUSR1, .si_code = SI_QUEUE};
    SHOW(syscall(SYS_rt_sigqueueinfo, self, 0, &info));
    SHOW(syscall(SYS_rt_sigqueueinfo, self, 65, &info));
    SHOW(syscall(SYS_rt_sigqueueinfo, self, 0, 1));
    info.si_code = SI_USER;
    pid_t other = fork();
    if (!other) {
        pause();
        _exit(0);
    }
    SHOW(syscall(SYS_rt_sigqueueinfo, other, 0, &info));
    kill(other, SIGKILL);
    waitpid(other, NULL, 0);
    SHOW(syscall(SYS_rt_tgsigqueueinfo, self, self, 0, &info));
    SHOW(syscall(SYS_rt_tgsigqueueinfo, self, 0, 0, &info));
    int fd = MUST((int)syscall(SYS_pidfd_open, self, 0));
    SHOW(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
    SHOW(syscall(SYS_pidfd_send_signal, fd, 65, NULL, 0));
    SHOW(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0x80));
    SHOW(syscall(SYS_pidfd_send_signal, fd, SIGUSR2, &info, 0));
    SHOW(syscall(SYS_pidfd_send_signal, 1, 0, NULL, 0));
    SHOW(syscall(SYS_pidfd_send_signal, 999999, 0, NULL, 0));
    SHOW(syscall(SYS_pidfd_send_signal, -1, SIGKILL, NULL, 0));
}

static void waiting(void) {
    title("sigtimedwait, signalfd");
    unsigned long set = 1ul << (SIGUSR1 - 1);
    struct timespec zero = {0, 0}, bad = {0, 1000000000}, past = {-1, 0};
    siginfo_t info;
    SHOW(syscall(SYS_rt_sigtimedwait, &set, &info, &zero, 8));
    SHOW(syscall(SYS_rt_sigtimedwait, &set, &info, &zero, 4));
    SHOW(syscall(SYS_rt_sigtimedwait, &set, &info, &bad, 8));
    SHOW(syscall(SYS_rt_sigtimedwait, &set, &info, &past, 8));
    SHOW(syscall(SYS_rt_sigtimedwait, 1, &info, &zero, 8));
    SHOW(syscall(SYS_rt_sigtimedwait, &set, &info, 1, 8));
    SHOW(syscall(SYS_signalfd4, -1, &set, 4, 0));
    SHOW(syscall(SYS_signalfd4, -1, 1, 8, 0));
    SHOW(syscall(SYS_signalfd4, -1, &set, 8, 1));
    SHOW(syscall(SYS_signalfd4, 0, &set, 8, 0));
    SHOW(syscall(SYS_signalfd4, 999999, &set, 8, 0));
}

static void sleeping(void) {
    title("nanosleep");
    struct timespec bad = {0, -1}, negative = {-1, 0}, zero = {0, 0}, short_time = {0, 1000}, rest;
    SHOW(nanosleep(&bad, NULL));
    SHOW(nanosleep(&negative, NULL));
    SHOW(nanosleep(&zero, &rest));
    SHOW(nanosleep(&short_time, &rest));
    SHOW(syscall(SYS_nanosleep, 1, NULL));
    SHOW(syscall(SYS_clock_nanosleep, CLOCK_REALTIME, 0, &short_time, NULL));
    SHOW(syscall(SYS_clock_nanosleep, CLOCK_BOOTTIME, 0, &short_time, NULL));
    SHOW(syscall(SYS_clock_nanosleep, CLOCK_TAI, 0, &short_time, NULL));
    SHOW(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &short_time, NULL));
    SHOW(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC_RAW, 0, &short_time, NULL));
    SHOW(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC_COARSE, 0, &short_time, NULL));
    SHOW(syscall(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &short_time, NULL));
    SHOW(syscall(SYS_clock_nanosleep, 77, 0, &short_time, NULL));
    SHOW(syscall(SYS_clock_nanosleep, 77, 0, 1, NULL));
    SHOW(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &bad, NULL));
    SHOW(syscall(SYS_restart_syscall));
}

static void polling(void) {
    title("poll, select, epoll");
    int pipe_fd[2];
    MUST(pipe(pipe_fd));
    struct pollfd set[4] = {{pipe_fd[0], POLLIN, 99},
                            {pipe_fd[1], POLLOUT, 99},
                            {-5, POLLIN, 99},
                            {888888, POLLIN, 99}};
    struct timespec zero = {0, 0}, bad = {0, 1000000000};
    SHOW(poll(set, 4, 0));
    for (int i = 0; i < 4; i++)
        printf("%d: %x\n", i, set[i].revents);
    SHOW(poll(set, 4, -1));
    SHOW(poll(set, 1, 1));
    SHOW(poll(NULL, 0, 0));
    SHOW(syscall(SYS_poll, 1, 1, 0));
    SHOW(syscall(SYS_poll, set, 0x10000000, 0));
    unsigned long mask = 0;
    SHOW(syscall(SYS_ppoll, set, 1, &zero, &mask, 8));
    SHOW(syscall(SYS_ppoll, set, 1, &zero, &mask, 4));
    SHOW(syscall(SYS_ppoll, set, 1, &bad, NULL, 0));
    SHOW(syscall(SYS_ppoll, set, 1, 1, NULL, 0));
    SHOW(syscall(SYS_ppoll, set, 1, &zero, 1, 8));
    struct pollfd *readonly =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    readonly[0] = set[1];
    mprotect(readonly, 4096, PROT_READ);
    SHOW(poll(readonly, 1, 0));
    fd_set in, out;
    struct timeval none = {0, 0}, many = {0, 1000000}, negative = {-1, 0}, some = {0, 2000};
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_SET(pipe_fd[0], &in);
    FD_SET(pipe_fd[1], &out);
    SHOW(select(pipe_fd[1] + 1, &in, &out, NULL, &none));
    printf("in %d out %d\n", FD_ISSET(pipe_fd[0], &in) != 0, FD_ISSET(pipe_fd[1], &out) != 0);
    FD_SET(pipe_fd[0], &in);
    FD_SET(pipe_fd[1], &out);
    SHOW(select(pipe_fd[1] + 1, &in, &out, NULL, &many));
    printf("left %ld.%06ld positive %d\n", (long)many.tv_sec, 0l, many.tv_usec > 0);
    SHOW(select(pipe_fd[0] + 1, &in, NULL, NULL, &some));
    printf("left %ld.%06ld\n", (long)some.tv_sec, (long)some.tv_usec);
    SHOW(select(1, &in, NULL, NULL, &negative));
    SHOW(select(-1, &in, NULL, NULL, &none));
    SHOW(select(5, (void *)1, NULL, NULL, &none));
    SHOW(syscall(SYS_select, 5, &in, NULL, NULL, 1));
    FD_ZERO(&in);
    FD_SET(pipe_fd[1] + 20, &in);
    SHOW(select(pipe_fd[1] + 21, &in, NULL, NULL, &none));
    struct {
        void *mask;
        unsigned long size;
    } six = {&mask, 8}, six_bad = {&mask, 7};
    SHOW(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &zero, &six));
    SHOW(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &zero, &six_bad));
    SHOW(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &bad, NULL));
    SHOW(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &zero, 1));

    int epoll = MUST(epoll_create1(0));
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.u64 = 0x1122334455667788},
                       got[4];
    MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, pipe_fd[1], &event));
    SHOW(epoll_wait(epoll, got, 4, -1));
    printf("%x %lx\n", got[0].events, (long)got[0].data.u64);
    SHOW(epoll_wait(epoll, got, 0, 0));
    SHOW(syscall(SYS_epoll_wait, epoll, got, -1, 0));
    SHOW(syscall(SYS_epoll_wait, epoll, 1, 1, 0));
    SHOW(syscall(SYS_epoll_wait, 999999, got, 0, 0));
    SHOW(epoll_wait(pipe_fd[0], got, 1, 0));
    SHOW(epoll_wait(999999, got, 1, 0));
    SHOW(epoll_wait(-1, got, 1, 0));
    SHOW(syscall(SYS_epoll_pwait, epoll, got, 4, 0, &mask, 8));
    SHOW(syscall(SYS_epoll_pwait, epoll, got, 4, 0, &mask, 9));
    SHOW(syscall(SYS_epoll_pwait2, epoll, got, 4, &zero, &mask, 8));
    SHOW(syscall(SYS_epoll_pwait2, epoll, got, 4, &bad, NULL, 8));
    MUST(epoll_ctl(epoll, EPOLL_CTL_DEL, pipe_fd[1], NULL));
    SHOW(epoll_wait(epoll, got, 4, 5));
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    actions();
    masks();
    killing();
    waiting();
    sleeping();
    polling();
    return 0;
}
