/* What ordinary programs rely on, also where calls are judged and made by somebody else. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "telling.h"

#define ROUNDS 100

/* After it gave up its ids its directories of /proc are root's. */
static int own(void) {
    char path[64];
    int held = dup2(open("/tmp/open", O_RDONLY), 100);
    pid_t root = fork();
    if (root == 0) {
        pause();
        _exit(0);
    }
    setresgid(1000, 1000, 1000);
    setresuid(1000, 1000, 1000);
    tell("memory map", try_reading("/proc/self/maps"));
    tell("descriptors", try_reading("/proc/self/fd"));
    snprintf(path, sizeof path, "/proc/self/fd/%d", held);
    tell("a descriptor", try_reading(path));
    snprintf(path, sizeof path, "/dev/fd/%d", held);
    tell("a descriptor of the device", try_reading(path));
    snprintf(path, sizeof path, "/proc/thread-self/fd/%d", held);
    tell("a descriptor of the thread", try_reading(path));
    tell("program", try_reading("/proc/self/exe"));
    tell("working directory", try_reading("/proc/self/cwd"));
    tell("root", try_reading("/proc/self/root"));
    snprintf(path, sizeof path, "/proc/%d/maps", root);
    tell("another's memory map", try_reading(path));
    snprintf(path, sizeof path, "/proc/%d/fd", root);
    tell("another's descriptors", try_reading(path));
    snprintf(path, sizeof path, "/proc/%d/cwd", root);
    tell("another's working directory", try_reading(path));
    return 0;
}

static void copy(const char *from, const char *to) {
    char buffer[65536];
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0755);
    for (ssize_t size; (size = read(in, buffer, sizeof buffer)) > 0;)
        if (write(out, buffer, (size_t)size) != size)
            exit(3);
    close(in);
    close(out);
}

static int status_of(const char *program) {
    int status;
    if (fork() == 0) {
        execl(program, program, "nothing", (char *)NULL);
        _exit(errno);
    }
    wait(&status);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* What was closed is closed: nobody else has it open still. */
static int closed(void) {
    int executed = 0, locked = 0, ended = 0;
    char byte;
    mkfifo("/tmp/fifo", 0600);
    for (int i = 0; i < ROUNDS; i++) {
        copy("/proc/self/exe", "/tmp/copy");
        executed += status_of("/tmp/copy") == 0;
        int fd = open("/tmp/lock", O_RDWR | O_CREAT, 0600);
        locked += flock(fd, LOCK_EX | LOCK_NB) == 0;
        close(fd);
        int reader = open("/tmp/fifo", O_RDONLY | O_NONBLOCK);
        close(open("/tmp/fifo", O_WRONLY));
        ended += read(reader, &byte, 1) == 0;
        close(reader);
    }
    printf("executed %d, locked %d, ended %d\n", executed, locked, ended);
    return 0;
}

static void try_bind(const char *path) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    tell(path, bind(fd, (struct sockaddr *)&at, sizeof at));
    close(fd);
}

/* Paths are the caller's, also those that nothing can be made at. */
static int places(void) {
    chdir("/tmp");
    mkdir("here", 0700);
    const char *const paths[] = {".",   "..",     "here/.", "here/..", "nowhere/.", "open/.",
                                 "1/.", "1/fd/.", "self/.", "/",       "/nowhere/."};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        try_bind(paths[i]);
    try_bind("socket");
    return 0;
}

static void *without_leader(void *unused) {
    int pair[2];
    char byte = 'x', state = 0;
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    while (state != 'Z') {
        char text[256] = "";
        int fd = open("/proc/self/stat", O_RDONLY);
        read(fd, text, sizeof text - 1);
        close(fd);
        state = strrchr(text, ')')[2];
    }
    tell("opened", try_reading("/tmp/open"));
    tell("made", mkdir("/tmp/directory", 0700));
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    tell("sent", sendmsg(pair[0], &message, 0));
    tell("received", recv(pair[1], &byte, 1, MSG_DONTWAIT));
    exit(0);
    return unused;
}

/* A thread goes on when the first one has ended. */
static int headless(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, without_leader, NULL);
    pthread_exit(NULL);
}

/* It does not end with its parent. */
static int alone(void) {
    prctl(PR_SET_PDEATHSIG, 0);
    puts("alone");
    fflush(stdout);
    for (;;)
        pause();
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "own"))
        return own();
    if (!strcmp(what, "closed"))
        return closed();
    if (!strcmp(what, "places"))
        return places();
    if (!strcmp(what, "headless"))
        return headless();
    if (!strcmp(what, "alone"))
        return alone();
    return strcmp(what, "nothing") != 0;
}
