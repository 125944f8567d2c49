/* eventfd, timerfd, signalfd, pidfd. */
#include "check.h"
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

static void events(void) {
    title("eventfd");
    uint64_t value = 5;
    int fd = MUST(eventfd(3, EFD_NONBLOCK | EFD_CLOEXEC));
    SHOW(write(fd, &value, 8));
    SHOW(read(fd, &value, 8));
    printf("value %lu\n", value);
    SHOW(read(fd, &value, 8));
    SHOW(read(fd, &value, 4));
    value = UINT64_MAX;
    SHOW(write(fd, &value, 8));
    value = UINT64_MAX - 1;
    SHOW(write(fd, &value, 8));
    SHOW(write(fd, &value, 8));
    struct pollfd event = {fd, POLLIN | POLLOUT, 0};
    SHOW(poll(&event, 1, 0));
    printf("events %x\n", event.revents);
    fd = MUST(eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK));
    SHOW(read(fd, &value, 8));
    printf("value %lu\n", value);
    SHOW(read(fd, &value, 8));
    SHOW(read(fd, &value, 8));
    SHOW(eventfd(0, 0x100));
    SHOW(read(fd, (void *)8, 8));
}

static void timers(void) {
    title("timerfd");
    uint64_t value = 0;
    int fd = MUST(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    struct itimerspec time = {{0, 10000000}, {0, 5000000}}, now;
    SHOW(read(fd, &value, 8));
    SHOW(timerfd_settime(fd, 0, &time, NULL));
    struct pollfd event = {fd, POLLIN, 0};
    SHOW(poll(&event, 1, 3000));
    SHOW(read(fd, &value, 8));
    printf("fired %d\n", value >= 1);
    SHOW(timerfd_gettime(fd, &now));
    printf("interval %ld\n", now.it_interval.tv_nsec);
    pause_ms(60);
    SHOW(read(fd, &value, 8));
    printf("several %d\n", value >= 4);
    time = (struct itimerspec){{0, 0}, {0, 0}};
    SHOW(timerfd_settime(fd, 0, &time, NULL));
    SHOW(read(fd, &value, 8));
    time.it_value.tv_sec = 1;
    SHOW(timerfd_settime(fd, TFD_TIMER_ABSTIME, &time, NULL));
    SHOW(read(fd, &value, 8));
    time.it_value.tv_nsec = 2000000000;
    SHOW(timerfd_settime(fd, 0, &time, NULL));
    SHOW(timerfd_settime(fd, 0, (void *)8, NULL));
    SHOW(timerfd_settime(0, 0, &time, NULL) == -1);
    SHOW(timerfd_create(99, 0));
    SHOW(timerfd_create(CLOCK_REALTIME, 0x40));
}

static void signals(void) {
    title("signalfd");
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGRTMIN + 3);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int fd = MUST(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
    struct signalfd_siginfo info[4];
    SHOW(read(fd, info, sizeof info));
    kill(getpid(), SIGUSR1);
    sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = 77});
    sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = 78});
    SHOW(read(fd, info, sizeof info) / (long)sizeof *info);
    printf("%d code %d pid %d\n", info[0].ssi_signo, info[0].ssi_code,
           info[0].ssi_pid == (unsigned)getpid());
    printf("%d value %d\n", info[1].ssi_signo - SIGRTMIN, info[1].ssi_int);
    printf("%d value %d\n", info[2].ssi_signo - SIGRTMIN, info[2].ssi_int);
    sigdelset(&set, SIGUSR1);
    SHOW(signalfd(fd, &set, 0) == fd);
    kill(getpid(), SIGUSR1);
    SHOW(read(fd, info, sizeof info));
    struct timespec none = {0, 0};
    sigaddset(&set, SIGUSR1);
    SHOW(sigtimedwait(&set, NULL, &none));
    SHOW(sigtimedwait(&set, NULL, &none));
    SHOW(read(fd, info, 10));
    SHOW(signalfd(0, &set, 0));
    SHOW(signalfd(-1, &set, 0x100));
    SHOW(syscall(SYS_signalfd4, -1, &set, 3, 0));
    pid_t child = fork_flushed();
    if (!child) {
        sigset_t chld;
        sigemptyset(&chld);
        sigaddset(&chld, SIGCHLD);
        sigprocmask(SIG_BLOCK, &chld, NULL);
        int children = MUST(signalfd(-1, &chld, 0));
        pid_t grandchild = MUST(fork());
        if (!grandchild)
            _exit(6);
        SHOW(read(children, info, sizeof *info) == sizeof *info);
        printf("signal %d code %d status %d\n", info[0].ssi_signo, info[0].ssi_code,
               info[0].ssi_status);
        reap("grandchild", grandchild);
        leave_child(0);
    }
    reap("child", child);
}

static void processes(void) {
    title("pidfd");
    pid_t child = fork_flushed();
    if (!child)
        for (;;)
            pause();
    int fd = MUST(pidfd_open(child, 0));
    struct pollfd event = {fd, POLLIN, 0};
    SHOW(fcntl(fd, F_GETFD));
    SHOW(poll(&event, 1, 0));
    SHOW(pidfd_send_signal(fd, SIGTERM, NULL, 0));
    SHOW(poll(&event, 1, 5000));
    SHOW(waitid(P_PIDFD, (id_t)fd, &(siginfo_t){0}, WEXITED));
    SHOW(pidfd_open(child, 0));
    SHOW(pidfd_open(-1, 0));
    SHOW(pidfd_open(getpid(), 1 << 20));
    SHOW(pidfd_send_signal(fd, 0, NULL, 0));
    SHOW(pidfd_send_signal(0, SIGTERM, NULL, 0));
}

int main(void) {
    alarm(30);
    events();
    timers();
    signals();
    processes();
    return 0;
}
