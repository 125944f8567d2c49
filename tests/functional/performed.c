/* What tests of calls that the broker makes run inside an instance. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "telling.h"

static void tell_through(const char *what, const char *format, int number) {
    char path[64];
    snprintf(path, sizeof path, format, number);
    tell(what, try_reading(path));
}

static void *in_thread(void *path) {
    tell("of a thread", try_reading(path));
    return NULL;
}

/* Ways to what may not be opened, and to what may, through links of /proc. */
static int links(void) {
    int priv = open("/tmp/priv", O_PATH), fine = open("/tmp/open", O_RDONLY);
    int tmp = open("/tmp", O_PATH), kept = dup2(fine, 200);
    pthread_t thread;
    tell("by its name", try_reading("/tmp/priv"));
    tell_through("held", "/proc/self/fd/%d", priv);
    tell_through("held, for a thread", "/proc/thread-self/fd/%d", priv);
    tell_through("held, by its number", "/dev/fd/%d", priv);
    tell("beneath the root", try_reading("/proc/self/root/tmp/priv"));
    tell_through("beneath a directory", "/proc/self/fd/%d/priv", tmp);
    chdir("/tmp");
    tell("here", try_reading("/proc/self/cwd/priv"));
    tell_through("of the parent", "/proc/%d/root/tmp/priv", getppid());
    tell_through("the other, held", "/proc/self/fd/%d", kept);
    tell_through("the other, beneath a directory", "/proc/self/fd/%d/open", tmp);
    tell("the other, here", try_reading("/proc/self/cwd/open"));
    tell("itself", try_reading("/proc/self/exe"));
    tell("no such descriptor", try_reading("/proc/self/fd/300"));
    pthread_create(&thread, NULL, in_thread, "/proc/thread-self/cwd/open");
    pthread_join(thread, NULL);
    prctl(PR_SET_DUMPABLE, 0);
    tell("the other, not dumpable", try_reading("/proc/self/cwd/open"));
    tell("standard input", open("/dev/stdin", O_RDONLY));
    return 0;
}

static long within(int directory, const char *path, unsigned long flags, unsigned long resolve) {
    struct open_how how = {.flags = flags, .resolve = resolve};
    return syscall(SYS_openat2, directory, path, &how, sizeof how);
}

/* openat2's own limits hold as well. */
static int limits(void) {
    int tmp = open("/tmp", O_PATH | O_DIRECTORY);
    symlink("/tmp/open", "/tmp/link");
    tell("beneath", within(tmp, "open", O_RDONLY, RESOLVE_BENEATH));
    tell("out of it", within(tmp, "../tmp/open", O_RDONLY, RESOLVE_BENEATH));
    tell("as the root", within(tmp, "/open", O_RDONLY, RESOLVE_IN_ROOT));
    tell("refused as the root", within(tmp, "/priv", O_RDONLY, RESOLVE_IN_ROOT));
    tell("by no link", within(tmp, "link", O_RDONLY, RESOLVE_NO_SYMLINKS));
    tell("made", within(tmp, "new", O_CREAT | O_WRONLY, RESOLVE_BENEATH));
    tell("refused to be made", within(tmp, "kept/new", O_CREAT | O_WRONLY, RESOLVE_BENEATH));
    tell("without any", within(AT_FDCWD, "/tmp/link", O_RDONLY, 0));
    tell("held alone", within(tmp, "priv", O_PATH, 0));
    tell("unknown flags", within(tmp, "open", 1ul << 40, 0));
    return 0;
}

static void ignore(int number) {
    (void)number;
}

static void *write_later(void *path) {
    int fd = open(path, O_WRONLY);
    write(fd, "x", 1);
    return NULL;
}

/* Opening a pipe waits for its other end, and ends with a signal. */
static int waits(void) {
    struct itimerval soon = {{0, 20000}, {0, 20000}}, never = {0};
    pthread_t writer;
    char byte = 0;
    mkfifo("/tmp/fifo", 0600);
    mkfifo("/tmp/other", 0600); /* where a call is there a moment longer than its caller */
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = ignore}, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    tell("interrupted", open("/tmp/fifo", O_RDONLY));
    setitimer(ITIMER_REAL, &never, NULL);
    tell("nobody there", open("/tmp/fifo", O_WRONLY | O_NONBLOCK));
    pid_t child = fork();
    if (child == 0)
        _exit(open("/tmp/other", O_RDONLY));
    usleep(50000);
    kill(child, SIGKILL);
    tell("killed", waitpid(child, NULL, 0));
    pthread_create(&writer, NULL, write_later, "/tmp/fifo");
    int fd = open("/tmp/fifo", O_RDONLY);
    read(fd, &byte, 1);
    printf("read: %c\n", byte);
    pthread_join(writer, NULL);
    return 0;
}

/* Who a call is made as. */
static int identity(void) {
    struct stat made;
    close(open("/tmp/roots", O_CREAT | O_WRONLY, 0600));
    umask(027);
    setgroups(1, (gid_t[]){77});
    setresgid(1000, 1000, 1000);
    setresuid(1000, 1000, 1000);
    int fd = open("/tmp/users", O_CREAT | O_WRONLY, 0666);
    fstat(fd, &made);
    printf("made: %d %d %o\n", (int)made.st_uid, (int)made.st_gid, (int)made.st_mode & 0777);
    tell("of root", open("/tmp/roots", O_RDONLY));
    tell("mode of root's", chmod("/tmp/roots", 0666));
    tell("owner", chown("/tmp/users", 0, 0));
    tell("another group", chown("/tmp/users", -1, 77));
    tell("no group of its", chown("/tmp/users", -1, 78));
    tell("of the group", open("/tmp/group", O_RDONLY));
    return 0;
}

static int told;

static void count(int number) {
    (void)number;
    told++;
}

/* A file grows by truncate(2) as far as its limit says. */
static int grow(void) {
    struct rlimit limit = {100, 200};
    sigaction(SIGXFSZ, &(struct sigaction){.sa_handler = count}, NULL);
    setrlimit(RLIMIT_FSIZE, &limit);
    tell("as long", truncate("/tmp/open", 100));
    tell("longer", truncate("/tmp/open", 101));
    tell("shorter", truncate("/tmp/open", 50));
    printf("told: %d\n", told);
    return 0;
}

static long make_in_all(const char *path) {
    return open(path, O_CREAT | O_WRONLY, 0600);
}

/* Where all may make files, what another one put there is not opened by who means to make it. */
static int planted(void) {
    umask(0);
    mkdir("/tmp/all", 0);
    chmod("/tmp/all", 01777);
    close(open("/tmp/all/roots", O_CREAT | O_WRONLY, 0666));
    close(open("/tmp/all/anothers", O_CREAT | O_WRONLY, 0666));
    chown("/tmp/all/anothers", 2000, 2000);
    setresuid(1000, 1000, 1000);
    make_in_all("/tmp/all/own");
    tell("its own", make_in_all("/tmp/all/own"));
    tell("the directory's owner's", make_in_all("/tmp/all/roots"));
    tell("another's", make_in_all("/tmp/all/anothers"));
    tell("another's, as it is", open("/tmp/all/anothers", O_WRONLY));
    return 0;
}

static int descend(void) {
    char *argv[] = {"true", NULL}, *none[] = {NULL};
    int fd = memfd_create("copy", 0), from = open("/bin/busybox", O_RDONLY);
    char buffer[65536];
    tell("made", fd);
    if (fd < 0)
        return 0;
    for (ssize_t size; (size = read(from, buffer, sizeof buffer)) > 0;)
        write(fd, buffer, (size_t)size);
    tell("executable", fchmod(fd, 0755));
    if (fork() == 0) {
        syscall(SYS_execveat, fd, "", argv, none, AT_EMPTY_PATH);
        _exit(errno);
    }
    int status;
    wait(&status);
    printf("ran: %s\n", status ? strerrorname_np(WEXITSTATUS(status)) : "ok");
    return 0;
}

static volatile int stop;
static int swapped, one, other;

static void *swap(void *unused) {
    while (!stop) {
        dup2(other, swapped);
        dup2(one, swapped);
    }
    return unused;
}

static long milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Calls for a second while another thread swaps what a descriptor stands for. */
static int race(int (*attempt)(void)) {
    int good = 0, won = 0;
    pthread_t thread;
    swapped = dup(one);
    pthread_create(&thread, NULL, swap, NULL);
    for (long end = milliseconds() + 1000; milliseconds() < end;) {
        int result = attempt();
        good += result == 1;
        won += result == 2;
    }
    stop = 1;
    pthread_join(thread, NULL);
    printf("%s, won %d\n", good ? "went well" : "never went well", won);
    return 0;
}

static int read_first(int fd) {
    char byte = 0;
    if (fd < 0)
        return 0;
    pread(fd, &byte, 1, 0);
    close(fd);
    return byte == 's' ? 2 : byte == 'o';
}

/* Opened through a link of /proc that leads now to one file, now to another. */
static int open_swapped(void) {
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", swapped);
    return read_first(open(path, O_RDONLY));
}

static int open_beside(void) {
    return read_first(openat(swapped, "file", O_RDONLY));
}

/* Datagrams may be sent to this port, connections not be made. */
static int connect_swapped(void) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(8080)};
    struct sockaddr nobody = {.sa_family = AF_UNSPEC}, peer;
    socklen_t size = sizeof peer;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int connected = connect(swapped, (struct sockaddr *)&to, sizeof to) == 0;
    int won = getpeername(other, &peer, &size) == 0;
    connect(one, &nobody, sizeof nobody);
    return won ? 2 : connected;
}

static int listener(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(8080)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 64) ? -1 : fd;
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "links"))
        return links();
    if (!strcmp(what, "limits"))
        return limits();
    if (!strcmp(what, "waits"))
        return waits();
    if (!strcmp(what, "identity"))
        return identity();
    if (!strcmp(what, "grow"))
        return grow();
    if (!strcmp(what, "planted"))
        return planted();
    if (!strcmp(what, "descend"))
        return descend();
    if (!strcmp(what, "swapped-link")) {
        one = open("/tmp/open", O_PATH), other = open("/tmp/priv", O_PATH);
        return race(open_swapped);
    }
    if (!strcmp(what, "swapped-directory")) {
        one = open("/tmp/one", O_PATH), other = open("/tmp/kept", O_PATH);
        return race(open_beside);
    }
    if (!strcmp(what, "swapped-socket")) {
        if (listener() < 0)
            return 3;
        one = socket(AF_INET, SOCK_DGRAM, 0), other = socket(AF_INET, SOCK_STREAM, 0);
        return race(connect_swapped);
    }
    return 2;
}
