/* Programs that wait in calls which the broker makes for them, many at once, inside an instance. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#define MOST 1000

static pthread_t threads[MOST];
static int sockets[MOST][2];
static volatile sig_atomic_t handled;

static void make(int count, void *(*run)(void *), void *what) {
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    for (int i = 0; i < count; i++)
        if (pthread_create(&threads[i], &small, run, what ? what : sockets[i]))
            exit(3);
}

static int good(int count) {
    int found = 0;
    for (int i = 0; i < count; i++) {
        void *result;
        pthread_join(threads[i], &result);
        found += result != NULL;
    }
    return found;
}

static void tell(const char *what, long result) {
    printf("%s: %s\n", what, result < 0 ? strerror(errno) : "ok");
    fflush(stdout);
}

/* Until somebody outside has looked. */
static void wait_for_line(void) {
    char line[16];
    read(0, line, sizeof line);
}

static void *read_pipe(void *path) {
    char byte = 0;
    int fd = open(path, O_RDONLY);
    return fd >= 0 && read(fd, &byte, 1) == 0 ? path : NULL;
}

/* Readers of a pipe that nobody writes, then calls of another thread. */
static int readers(int count) {
    mkfifo("/tmp/pipe", 0600);
    make(count, read_pipe, "/tmp/pipe");
    wait_for_line();
    tell("a file", open("/bin/waiting", O_RDONLY));
    tell("a writer", close(open("/tmp/pipe", O_WRONLY)));
    printf("freed: %d\n", good(count));
    return 0;
}

static void *send_much(void *pair) {
    static char bytes[1 << 20];
    struct iovec part = {bytes, sizeof bytes};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    return sendmsg(((int *)pair)[0], &message, 0) == sizeof bytes ? pair : NULL;
}

static void *take_all(void *unused) {
    char bytes[65536];
    for (int i = 0; i < MOST && sockets[i][1]; i++)
        for (long left = 1 << 20, got = 1; left > 0 && got > 0; left -= got)
            got = read(sockets[i][1], bytes, sizeof bytes);
    return unused;
}

/* Senders to peers that do not read. */
static int senders(int count) {
    pthread_t reader;
    for (int i = 0; i < count; i++)
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets[i]))
            return 3;
    make(count, send_much, NULL);
    wait_for_line();
    tell("a file", open("/bin/waiting", O_RDONLY));
    pthread_create(&reader, NULL, take_all, NULL);
    printf("sent: %d\n", good(count));
    return 0;
}

static void handle(int number) {
    (void)number;
    handled++;
}

static void *write_after_signals(void *path) {
    while (handled < 3)
        poll(NULL, 0, 1);
    return (void *)(long)open(path, O_WRONLY);
}

/* Signals for the process, again and again, while one of its threads waits in such a call: the
 * first, or another one while the first sleeps. */
static int signalled(const char *waits) {
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    struct itimerval often = {{0, 10000}, {0, 10000}}, never = {0};
    bool first = !strcmp(waits, "first");
    sigaction(SIGALRM, &action, NULL);
    mkfifo("/tmp/pipe", 0600);
    make(1, first ? write_after_signals : read_pipe, "/tmp/pipe");
    setitimer(ITIMER_REAL, &often, NULL);
    if (first)
        tell("opened", open("/tmp/pipe", O_RDONLY));
    while (!first && handled < 50)
        poll(NULL, 0, 10);
    setitimer(ITIMER_REAL, &never, NULL);
    if (!first)
        tell("opened", close(open("/tmp/pipe", O_WRONLY)));
    printf("the other: %d\n", good(1));
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    if (!strcmp(argv[1], "readers"))
        return readers(atoi(argv[2]));
    if (!strcmp(argv[1], "senders"))
        return senders(atoi(argv[2]));
    return signalled(argv[2]);
}
