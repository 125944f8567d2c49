/* Waiting for signals: sigsuspend and temporary masks, sigtimedwait, signalfd; nothing is lost. */
#include "../check.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/time.h>

static volatile int got, got_value;
static volatile bool blocked_usr1, blocked_usr2;

static void on_signal(int number, siginfo_t *info, void *context) {
    (void)context;
    got++;
    got_value = number;
    (void)info;
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    blocked_usr1 = sigismember(&now, SIGUSR1);
    blocked_usr2 = sigismember(&now, SIGUSR2);
}

static void set(int number, int flags) {
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = flags | SA_SIGINFO};
    MUST(sigaction(number, &action, NULL));
}

static sigset_t mask_of(int one, int two) {
    sigset_t mask;
    sigemptyset(&mask);
    if (one)
        sigaddset(&mask, one);
    if (two)
        sigaddset(&mask, two);
    return mask;
}

static void show(const char *what) {
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    printf("%s: got %d last %s inside blocked %d %d, after blocked %d %d\n", what, got,
           got_value ? sigabbrev_np(got_value) : "-", blocked_usr1, blocked_usr2,
           sigismember(&now, SIGUSR1), sigismember(&now, SIGUSR2));
    got = got_value = 0;
    blocked_usr1 = blocked_usr2 = false;
}

/* Both blocked; a temporary mask lets USR1 through, which is pending already or comes soon. */
static void temporary(void) {
    title("temporary masks");
    set(SIGUSR1, 0);
    set(SIGUSR2, 0);
    set(SIGSEGV, 0);
    sigset_t both = mask_of(SIGUSR1, SIGUSR2), only_two = mask_of(SIGUSR2, 0),
             empty = mask_of(0, 0), old;
    sigprocmask(SIG_BLOCK, &both, &old);
    struct timespec second = {20, 0}, none = {0, 0};
    int epoll = MUST(epoll_create1(0));
    struct epoll_event event;
    for (int late = 0; late < 2; late++) {
        printf("late %d\n", late);
#define SEND(number)                                                                               \
    pid_t sender = 0;                                                                              \
    if (!late)                                                                                     \
        raise(number);                                                                             \
    else if (!(sender = fork_flushed())) {                                                         \
        pause_ms(30);                                                                              \
        kill(getppid(), number);                                                                   \
        _exit(0);                                                                                  \
    }
#define DONE(what)                                                                                 \
    show(what);                                                                                    \
    if (sender)                                                                                    \
        MUST(waitpid(sender, NULL, 0));
        {
            SEND(SIGUSR1);
            SHOW(sigsuspend(&only_two));
            DONE("sigsuspend");
        }
        {
            SEND(SIGUSR1);
            SHOW(ppoll(NULL, 0, &second, &only_two));
            DONE("ppoll");
        }
        {
            SEND(SIGUSR2);
            SHOW(pselect(0, NULL, NULL, NULL, &second, &empty));
            DONE("pselect");
        }
        {
            SEND(SIGUSR1);
            SHOW(epoll_pwait(epoll, &event, 1, 20000, &only_two));
            DONE("epoll_pwait");
        }
        {
            sigset_t segv = mask_of(SIGSEGV, 0), before;
            sigprocmask(SIG_BLOCK, &segv, &before);
            SEND(SIGSEGV);
            SHOW(sigsuspend(&only_two));
            sigprocmask(SIG_SETMASK, &before, NULL);
            DONE("sigsuspend for SEGV");
        }
    }
    /* Blocked by the temporary mask: no interruption, delivered afterwards. */
    sigprocmask(SIG_SETMASK, &empty, NULL);
    pid_t sender = fork_flushed();
    if (!sender) {
        pause_ms(30);
        kill(getppid(), SIGUSR1);
        _exit(0);
    }
    struct timespec tenth = {0, 100000000};
    int64_t began = now_ms();
    SHOW(ppoll(NULL, 0, &tenth, &both));
    IS(now_ms() - began >= 99);
    MUST(waitpid(sender, NULL, 0)); /* it may be late */
    show("blocked by ppoll");
    SHOW(ppoll(NULL, 0, &none, &both));
    show("nothing");
    sigprocmask(SIG_SETMASK, &old, NULL);
}

/* The classic race: a signal between the test and the wait must end the wait. */
static void races(void) {
    title("races");
    sigset_t block = mask_of(SIGUSR1, 0), old;
    set(SIGUSR1, 0);
    sigprocmask(SIG_BLOCK, &block, &old);
    int to_child[2], to_parent[2];
    MUST(pipe(to_child));
    MUST(pipe(to_parent));
    pid_t parent = getpid(), child = fork_flushed();
    if (!child) {
        char byte;
        close(to_child[1]);
        while (read(to_child[0], &byte, 1) == 1) {
            for (volatile int i = 0; i < byte * 37 % 4000; i++)
                ;
            kill(parent, SIGUSR1);
        }
        _exit(0);
    }
    got = 0;
    int rounds = 0;
    for (; rounds < 500; rounds++) {
        char byte = (char)rounds;
        MUST(write(to_child[1], &byte, 1));
        while (got == rounds)
            sigsuspend(&old);
    }
    printf("rounds %d got %d\n", rounds, got);
    /* Without any mask: read must return EINTR or be made again, again and again. */
    sigprocmask(SIG_SETMASK, &old, NULL);
    int lost = 0, interrupted = 0;
    for (int i = 0; i < 500; i++) {
        int before = got;
        char byte = (char)i;
        MUST(write(to_child[1], &byte, 1));
        struct pollfd wait = {to_parent[0], POLLIN, 0};
        int result = got == before ? poll(&wait, 1, 5) : -1;
        if (result == -1)
            interrupted++;
        else if (got == before)
            lost++;
        while (got == before)
            pause_ms(0);
    }
    printf("answered %d lost %d\n", interrupted >= 1, lost > 250);
    close(to_child[1]);
    reap("sender", child);
}

static void taken(void) {
    title("sigtimedwait");
    sigset_t wait = mask_of(SIGUSR1, SIGRTMIN + 1), old;
    sigprocmask(SIG_BLOCK, &wait, &old);
    siginfo_t info;
    struct timespec none = {0, 0}, second = {20, 0};
    SHOW(sigtimedwait(&wait, &info, &none));
    for (int i = 0; i < 3; i++)
        sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 7 * i});
    kill(getpid(), SIGUSR1);
    for (int i = 0; i < 5; i++) {
        memset(&info, 0, sizeof info);
        int number = sigtimedwait(&wait, &info, &none);
        printf("%d code %d value %d own %d\n", number, info.si_code,
               info.si_code == SI_QUEUE ? info.si_value.sival_int : 0,
               number == -1 || info.si_pid == getpid());
    }
    pid_t parent = getpid(), child = fork_flushed();
    if (!child) {
        pause_ms(30);
        sigqueue(parent, SIGUSR1, (union sigval){.sival_int = 99});
        _exit(0);
    }
    int number = sigtimedwait(&wait, &info, &second);
    printf("%d value %d from child %d\n", number, info.si_value.sival_int, info.si_pid == child);
    reap("child", child);
    child = fork_flushed();
    if (!child)
        _exit(5);
    sigset_t chld = mask_of(SIGCHLD, 0);
    sigprocmask(SIG_BLOCK, &chld, NULL);
    SHOW(sigwaitinfo(&chld, &info));
    printf("code %d status %d child %d\n", info.si_code, info.si_status, info.si_pid == child);
    reap("child", child);
    sigprocmask(SIG_SETMASK, &old, NULL);
}

static void by_descriptor(void) {
    title("signalfd");
    sigset_t wait = mask_of(SIGUSR1, SIGRTMIN), old;
    sigprocmask(SIG_BLOCK, &wait, &old);
    int fd = MUST(signalfd(-1, &wait, SFD_NONBLOCK | SFD_CLOEXEC));
    struct signalfd_siginfo info[4];
    SHOW(read(fd, info, sizeof info));
    sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 1});
    sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 2});
    raise(SIGUSR1);
    struct pollfd poll_one = {fd, POLLIN, 0};
    SHOW(poll(&poll_one, 1, 0));
    ssize_t size = read(fd, info, sizeof info);
    printf("size %zd\n", size);
    for (ssize_t i = 0; i < size / (ssize_t)sizeof *info; i++)
        printf("signal %u code %d value %d own %d\n", info[i].ssi_signo, info[i].ssi_code,
               info[i].ssi_int, info[i].ssi_pid == (unsigned)getpid());
    SHOW(read(fd, info, 10));
    sigset_t other = mask_of(SIGUSR2, 0);
    IS(signalfd(fd, &other, 0) == fd);
    raise(SIGUSR1);
    SHOW(read(fd, info, sizeof info));
    fcntl(fd, F_SETFL, 0);
    IS(signalfd(fd, &wait, 0) == fd);
    SHOW(read(fd, info, sizeof info[0]));
    pid_t parent = getpid(), child = fork_flushed();
    if (!child) {
        pause_ms(30);
        kill(parent, SIGUSR1);
        _exit(0);
    }
    SHOW(read(fd, info, sizeof info));
    IS(info[0].ssi_pid == (unsigned)child);
    reap("child", child);
    close(fd);
    sigprocmask(SIG_SETMASK, &old, NULL);
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    temporary();
    races();
    taken();
    by_descriptor();
    return 0;
}
