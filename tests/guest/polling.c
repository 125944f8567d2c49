/* poll, ppoll, select, pselect, epoll in all its modes. */
#include "check.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>

static volatile sig_atomic_t alarms;
static void on_alarm(int signal) {
    (void)signal;
    alarms++;
}

static void polls(void) {
    title("poll");
    int fds[2];
    MUST(pipe(fds));
    struct pollfd events[4] = {
        {fds[0], POLLIN, 0}, {fds[1], POLLOUT, 0}, {-5, POLLIN, 0}, {700, POLLIN, 0}};
    SHOW(poll(events, 4, 0));
    printf("%x %x %x %x\n", events[0].revents, events[1].revents, events[2].revents,
           events[3].revents);
    MUST(write(fds[1], "x", 1));
    SHOW(poll(events, 3, -1));
    SHOW(poll(events, 0, 10));
    SHOW(syscall(SYS_poll, 8, 2, 0));
    SHOW(syscall(SYS_poll, events, 1l << 30, 0));
    int64_t start = now_ms();
    SHOW(poll(events, 0, 30));
    printf("waited %d\n", now_ms() - start >= 29);
    struct timespec time = {0, 20000000}, bad = {0, -1};
    sigset_t none;
    sigemptyset(&none);
    SHOW(ppoll(events, 0, &time, &none));
    SHOW(ppoll(events, 1, &bad, NULL));
    SHOW(syscall(SYS_ppoll, events, 1, NULL, &none, 3));
    close(fds[1]);
    SHOW(poll(events, 1, 0));
    char text[4];
    MUST(read(fds[0], text, 4));
    SHOW(poll(events, 1, 0));
    printf("%x\n", events[0].revents);
    MUST(pipe(fds));
    close(fds[0]);
    events[1].fd = fds[1];
    SHOW(poll(events + 1, 1, 0));
    printf("%x\n", events[1].revents);
}

static void interrupted(void) {
    title("interrupted");
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    sigset_t blocked, open_mask;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGALRM);
    sigemptyset(&open_mask);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    raise(SIGALRM);
    SHOW(ppoll(NULL, 0, NULL, &open_mask));
    printf("alarms %d\n", alarms);
    raise(SIGALRM);
    SHOW(pselect(0, NULL, NULL, NULL, NULL, &open_mask));
    raise(SIGALRM);
    int epoll = MUST(epoll_create1(0));
    struct epoll_event event;
    SHOW(epoll_pwait(epoll, &event, 1, -1, &open_mask));
    printf("alarms %d\n", alarms);
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    printf("mask is back %d\n", sigismember(&now, SIGALRM));
    sigprocmask(SIG_UNBLOCK, &blocked, NULL);
    struct itimerspec once = {.it_value = {0, 200000000}};
    timer_t timer;
    struct sigevent how = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    MUST(timer_create(CLOCK_MONOTONIC, &how, &timer));
    MUST(timer_settime(timer, 0, &once, NULL));
    SHOW(poll(NULL, 0, 5000));
    MUST(timer_settime(timer, 0, &once, NULL));
    SHOW(epoll_wait(epoll, &event, 1, 5000));
    MUST(timer_settime(timer, 0, &once, NULL));
    SHOW(select(0, NULL, NULL, NULL, &(struct timeval){5, 0}));
    printf("alarms %d\n", alarms);
    close(epoll);
}

static void selects(void) {
    title("select");
    int fds[2];
    MUST(pipe(fds));
    MUST(dup2(fds[0], 200));
    fd_set in, out;
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_SET(200, &in);
    FD_SET(fds[1], &out);
    struct timeval time = {0, 10000};
    SHOW(select(201, &in, &out, NULL, &time));
    printf("in %d out %d time left %d\n", FD_ISSET(200, &in), FD_ISSET(fds[1], &out),
           time.tv_usec > 0);
    FD_ZERO(&out);
    SHOW(select(201, &in, NULL, NULL, &time));
    printf("time left %ld\n", (long)time.tv_usec);
    FD_ZERO(&in);
    FD_SET(150, &in);
    SHOW(select(151, &in, NULL, NULL, &time));
    SHOW(select(-1, NULL, NULL, NULL, &time));
    SHOW(syscall(SYS_select, 10, 8, NULL, NULL, NULL));
    time.tv_sec = -1;
    SHOW(syscall(SYS_select, 0, NULL, NULL, NULL, &time));
    MUST(write(fds[1], "x", 1));
    FD_ZERO(&in);
    FD_SET(200, &in);
    SHOW(pselect(201, &in, NULL, NULL, NULL, NULL));
    close(200);
}

static void controls(void) {
    title("epoll_ctl");
    int epoll = MUST(epoll_create1(EPOLL_CLOEXEC)), fds[2];
    SHOW(epoll_create(0));
    SHOW(epoll_create1(5));
    MUST(pipe(fds));
    struct epoll_event event = {EPOLLIN, {.u64 = 0x123456789abcdef}};
    SHOW(epoll_ctl(epoll, EPOLL_CTL_MOD, fds[0], &event));
    SHOW(epoll_ctl(epoll, EPOLL_CTL_DEL, fds[0], NULL));
    SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &event));
    SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &event));
    SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, epoll, &event));
    SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, 700, &event));
    SHOW(epoll_ctl(fds[0], EPOLL_CTL_ADD, fds[1], &event));
    SHOW(epoll_ctl(epoll, 9, fds[1], &event));
    SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[1], (struct epoll_event *)8));
    int directory = MUST(open("/", O_RDONLY));
    SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, directory, &event));
    SHOW(epoll_wait(epoll, &event, 0, 0));
    SHOW(epoll_wait(epoll, &event, -3, 0));
    SHOW(epoll_wait(fds[0], &event, 1, 0));
    SHOW(epoll_wait(epoll, &event, 1, 0));
    MUST(write(fds[1], "x", 1));
    SHOW(syscall(SYS_epoll_wait, epoll, 8, 1, 0));
    SHOW(epoll_wait(epoll, &event, 1, 1000));
    printf("events %x data %lx\n", event.events, (long)event.data.u64);
    close(fds[0]);
    SHOW(epoll_wait(epoll, &event, 1, 0));
    close(epoll);
}

static void modes(void) {
    title("epoll modes");
    int epoll = MUST(epoll_create1(0)), pair[2];
    char text[8];
    struct epoll_event event = {EPOLLIN | EPOLLET, {.u32 = 1}}, got[4];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &event));
    MUST(write(pair[1], "abc", 3));
    SHOW(epoll_wait(epoll, got, 4, 0));
    SHOW(epoll_wait(epoll, got, 4, 0));
    MUST(write(pair[1], "d", 1));
    SHOW(epoll_wait(epoll, got, 4, 0));
    event.events = EPOLLIN;
    MUST(epoll_ctl(epoll, EPOLL_CTL_MOD, pair[0], &event));
    SHOW(epoll_wait(epoll, got, 4, 0));
    SHOW(epoll_wait(epoll, got, 4, 0));
    event.events = EPOLLIN | EPOLLONESHOT;
    MUST(epoll_ctl(epoll, EPOLL_CTL_MOD, pair[0], &event));
    SHOW(epoll_wait(epoll, got, 4, 0));
    SHOW(epoll_wait(epoll, got, 4, 0));
    MUST(epoll_ctl(epoll, EPOLL_CTL_MOD, pair[0], &event));
    SHOW(epoll_wait(epoll, got, 4, 0));
    MUST(read(pair[0], text, 8));
    event.events = EPOLLIN | EPOLLRDHUP | EPOLLOUT;
    MUST(epoll_ctl(epoll, EPOLL_CTL_MOD, pair[0], &event));
    close(pair[1]);
    SHOW(epoll_wait(epoll, got, 4, 0));
    printf("events %x\n", got[0].events);
    struct timespec time = {0, 10000000};
    MUST(epoll_ctl(epoll, EPOLL_CTL_DEL, pair[0], NULL));
    SHOW(syscall(SYS_epoll_pwait2, epoll, got, 4, &time, NULL, 8));
    /* An epoll inside another, a descriptor in a forked child. */
    int outer = MUST(epoll_create1(0)), fds[2];
    MUST(pipe(fds));
    event.events = EPOLLIN;
    MUST(epoll_ctl(outer, EPOLL_CTL_ADD, epoll, &event));
    MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &event));
    SHOW(epoll_wait(outer, got, 4, 0));
    pid_t child = fork_flushed();
    if (!child) {
        pause_ms(20);
        MUST(write(fds[1], "from the child", 14));
        leave_child(0);
    }
    SHOW(epoll_wait(outer, got, 4, 5000));
    reap("writer", child);
    event.events = EPOLLIN;
    SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, outer, &event));
}

int main(void) {
    alarm(30);
    polls();
    interrupted();
    selects();
    controls();
    modes();
    return 0;
}
