/* Interrupted calls: EINTR or made again, remaining times, stop and continue. */
#include "../check.h"
#include <linux/futex.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>

/* An alarm comes so soon: after the call has begun, also on a busy machine. Short calls take
 * longer. */
#define SOON_MS 100
#define SHORT_MS 600L

static volatile int handled;
static int pipe_fd[2];
static bool writes;

static void on_signal(int number) {
    (void)number;
    handled++;
    if (writes)
        MUST(write(pipe_fd[1], "x", 1));
}

static void handler(int flags) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
    MUST(sigaction(SIGALRM, &action, NULL));
}

static void alarm_in(int ms) {
    struct itimerval time = {.it_value = {ms / 1000, ms % 1000 * 1000}};
    MUST(setitimer(ITIMER_REAL, &time, NULL));
}

/* Runs `call` under an alarm, with and without SA_RESTART; when made again, data ends it. */
#define BOTH(call, restartable)                                                                    \
    do {                                                                                           \
        for (int both = 0; both < 2; both++) {                                                     \
            handler(both ? SA_RESTART : 0);                                                        \
            handled = 0;                                                                           \
            writes = both && (restartable);                                                        \
            printf("%s ", both ? "restart" : "plain");                                             \
            alarm_in(SOON_MS);                                                                     \
            SHOW(call);                                                                            \
            printf("handled %d\n", handled);                                                       \
        }                                                                                          \
        writes = false;                                                                            \
    } while (0)

static char buffer[16];
static int epoll;
static uint32_t word;

static long futex_wait(struct timespec *time) {
    return syscall(SYS_futex, &word, FUTEX_WAIT, 0, time, NULL, 0);
}
static long futex_until(int seconds) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    time.tv_sec += seconds;
    return syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, 0, &time, NULL, ~0u);
}
static long poll_it(int ms) {
    struct pollfd set = {pipe_fd[0], POLLIN, 0};
    return poll(&set, 1, ms);
}
static long select_it(void) {
    fd_set in;
    FD_ZERO(&in);
    FD_SET(pipe_fd[0], &in);
    struct timeval time = {5, 0};
    long result = select(pipe_fd[0] + 1, &in, NULL, NULL, &time);
    int error = errno;
    printf("(left %d) ", time.tv_sec == 4);
    errno = error;
    return result;
}
static long ppoll_it(void) {
    struct timespec time = {5, 0};
    struct pollfd set = {pipe_fd[0], POLLIN, 0};
    long result = syscall(SYS_ppoll, &set, 1, &time, NULL, 0);
    int error = errno;
    printf("(left %d) ", time.tv_sec == 4);
    errno = error;
    return result;
}
static long sleep_it(void) {
    struct timespec time = {5, 0}, rest = {77, 0};
    long result = nanosleep(&time, &rest);
    int error = errno;
    printf("(left %d) ", rest.tv_sec == 4);
    errno = error;
    return result;
}
static long sleep_until(void) {
    struct timespec time, rest = {77, 0};
    clock_gettime(CLOCK_MONOTONIC, &time);
    time.tv_sec += 5;
    errno = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, &rest);
    printf("(rest %ld) ", (long)rest.tv_sec);
    return errno ? -1 : 0;
}
static long wait_signal(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    struct timespec time = {5, 0};
    return sigtimedwait(&set, NULL, &time);
}
static long suspend_it(void) {
    sigset_t none;
    sigemptyset(&none);
    return sigsuspend(&none);
}
static long wait_child(void) {
    pid_t child = fork_flushed();
    if (!child) {
        pause_ms(5 * SOON_MS);
        _exit(3);
    }
    int status = 0;
    long result = waitpid(child, &status, 0);
    int error = errno;
    if (result < 0)
        waitpid(child, &status, 0);
    printf("(%d) ", WEXITSTATUS(status));
    errno = error;
    return result > 0 ? 1 : result;
}
static long wait_semaphore(void) {
    sem_t semaphore;
    sem_init(&semaphore, 0, 0);
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    time.tv_sec += 5;
    return sem_timedwait(&semaphore, &time);
}

static void interrupted(void) {
    title("interrupted by a handler");
    MUST(pipe(pipe_fd));
    epoll = MUST(epoll_create1(0));
    struct epoll_event event = {.events = EPOLLIN}, got;
    MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, pipe_fd[0], &event));
    BOTH(read(pipe_fd[0], buffer, 1), true);
    BOTH(poll_it(-1), false);
    BOTH(poll_it(5000), false);
    BOTH(ppoll_it(), false);
    BOTH(select_it(), false);
    BOTH(epoll_wait(epoll, &got, 1, -1), false);
    BOTH(epoll_wait(epoll, &got, 1, 5000), false);
    BOTH(sleep_it(), false);
    BOTH(sleep_until(), false);
    BOTH(pause(), false);
    BOTH(suspend_it(), false);
    BOTH(wait_signal(), false);
    BOTH(wait_child(), false);
    BOTH(wait_semaphore(), false);
    BOTH(futex_until(5), false);
    struct timespec five = {5, 0};
    BOTH(futex_wait(&five), false);
    handler(0);
    handled = 0;
    alarm_in(SOON_MS);
    SHOW(futex_wait(NULL));
    int pair[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    handler(0);
    alarm_in(SOON_MS);
    SHOW(recv(pair[0], buffer, 1, 0));
    struct timeval second = {5, 0};
    MUST(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second));
    handler(SA_RESTART);
    alarm_in(SOON_MS);
    SHOW(recv(pair[0], buffer, 1, 0)); /* a socket with a timeout is never made again */
}

/* Stopped and continued in the middle of a call: it goes on, and its timeout did too. */
static void stopped(const char *what, long (*call)(void)) {
    pid_t child = fork_flushed();
    if (!child) {
        errno = 0;
        int64_t began = now_ms();
        long result = call();
        int error = errno;
        int64_t took = now_ms() - began;
        printf("%s %ld %s in time %d\n", what, result, error_name(error),
               took >= SHORT_MS - 5 && took < 5000);
        leave_child(0);
    }
    pause_ms(40);
    kill(child, SIGSTOP);
    int status;
    MUST(waitpid(child, &status, WUNTRACED));
    show_status(what, status);
    pause_ms(60);
    kill(child, SIGCONT);
    MUST(waitpid(child, &status, WCONTINUED));
    show_status(what, status);
    reap(what, child);
}

static long short_sleep(void) {
    struct timespec time = {0, SHORT_MS * 1000000};
    return nanosleep(&time, NULL);
}
static long short_clock_sleep(void) {
    struct timespec time = {0, SHORT_MS * 1000000};
    return clock_nanosleep(CLOCK_BOOTTIME, 0, &time, NULL);
}
static long short_poll(void) {
    return poll_it(SHORT_MS);
}
static long short_select(void) {
    struct timeval time = {0, SHORT_MS * 1000};
    return select(0, NULL, NULL, NULL, &time);
}
static long short_futex(void) {
    struct timespec time = {0, SHORT_MS * 1000000};
    return futex_wait(&time);
}
static long short_cond(void) {
    sigset_t set;
    sigemptyset(&set);
    struct timespec time = {0, SHORT_MS * 1000000};
    /* Linux interrupts this one on SIGCONT: what is left is waited for by the program. */
    int64_t end = now_ms() + SHORT_MS;
    long result;
    while ((result = sigtimedwait(&set, NULL, &time)) == -1 && errno == EINTR) {
        int64_t left = end - now_ms();
        time.tv_nsec = left > 0 ? left * 1000000 : 0;
    }
    return result;
}

/* A signal whose default is to be ignored does not interrupt. */
static void ignored(void) {
    title("ignored signals do not interrupt");
    signal(SIGALRM, SIG_IGN);
    alarm_in(SOON_MS);
    SHOW(short_sleep());
    alarm_in(SOON_MS);
    SHOW(short_poll());
    signal(SIGALRM, SIG_DFL);
    pid_t parent = getpid();
    for (int i = 0; i < 3; i++) {
        pid_t child = fork_flushed();
        if (!child) {
            pause_ms(40);
            kill(parent, i == 0 ? SIGCHLD : i == 1 ? SIGURG : SIGWINCH);
            _exit(0);
        }
        int64_t began = now_ms();
        SHOW(i == 0 ? short_sleep() : i == 1 ? short_select() : short_futex());
        IS(now_ms() - began >= SHORT_MS - 5);
        reap("sender", child);
    }
}

static void many(void) {
    title("many interruptions");
    handler(SA_RESTART);
    struct itimerval often = {{0, 3000}, {0, 3000}}, off = {{0, 0}, {0, 0}};
    handled = 0;
    MUST(setitimer(ITIMER_REAL, &often, NULL));
    pid_t child = fork_flushed();
    if (!child) {
        pause_ms(600);
        MUST(write(pipe_fd[1], "abc", 3));
        _exit(0);
    }
    SHOW(read(pipe_fd[0], buffer, 16));
    IS(handled >= 20);
    reap("writer", child);
    struct timespec time = {0, 600000000};
    int rounds = 0;
    int64_t began = now_ms();
    while (nanosleep(&time, &time) == -1)
        rounds++;
    int64_t took = now_ms() - began;
    MUST(setitimer(ITIMER_REAL, &off, NULL));
    IS(rounds >= 10 && took >= 599 && took < 5000);
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    interrupted();
    title("stopped and continued");
    stopped("nanosleep", short_sleep);
    stopped("clock_nanosleep", short_clock_sleep);
    stopped("poll", short_poll);
    stopped("select", short_select);
    stopped("futex", short_futex);
    stopped("sigtimedwait", short_cond);
    ignored();
    many();
    return 0;
}
