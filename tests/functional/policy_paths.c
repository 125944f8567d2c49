/* What tests of policies do with paths inside an instance. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "telling.h"

/* What a file says, or why it cannot be opened. */
static void show(const char *what, const char *path) {
    char text[64] = "";
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        strcpy(text, strerrorname_np(errno));
    else
        read(fd, text, sizeof text - 1);
    text[strcspn(text, "\n")] = 0;
    printf("%s: %s\n", what, text);
    if (fd >= 0)
        close(fd);
}

static void point(const char *link, const char *to) {
    unlink(link);
    symlink(to, link);
}

/* A link that is opened several times, and leads elsewhere in between. */
static int links(void) {
    chdir("/tmp");
    mkdir("one", 0700);
    mkdir("two", 0700);
    for (int i = 0; i < 2; i++) {
        int fd = open(i ? "two/file" : "one/file", O_CREAT | O_WRONLY, 0600);
        write(fd, i ? "two\n" : "one\n", 4);
        close(fd);
    }
    point("way", "one");
    show("first", "/tmp/way/file");
    show("again", "/tmp/way/file");
    show("relative", "way/file");
    show("missing", "/tmp/way/none");
    point("way", "two");
    show("moved", "/tmp/way/file");
    point("way", "../tmp/./one");
    show("around", "/tmp/way/file");
    point("further", "two");
    point("way", "/tmp/further");
    show("twice", "/tmp/way/file");
    show("twice again", "/tmp/way/file");
    point("further", "way");
    show("circle", "/tmp/way/file");
    unlink("way");
    rename("one", "way");
    show("directory", "/tmp/way/file");
    point("last", "two/file");
    show("last", "/tmp/last");
    show("last again", "/tmp/last");
    printf("not followed: %s\n",
           open("/tmp/last", O_RDONLY | O_NOFOLLOW) < 0 ? strerrorname_np(errno) : "ok");
    point("last", "priv");
    show("refused", "/tmp/last");
    point("last", "new");
    printf("made: %s\n",
           open("/tmp/last", O_CREAT | O_WRONLY, 0600) < 0 ? strerrorname_np(errno) : "ok");
    printf("is there: %s\n", access("/tmp/new", F_OK) ? "no" : "yes");
    point("last", "/proc/self/cwd/two/file");
    show("proc", "/tmp/last");
    return 0;
}

static struct sockaddr_un local(const char *path) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    memcpy(at.sun_path, path, strlen(path));
    return at;
}

static int server(int type, const char *path) {
    struct sockaddr_un at = local(path);
    int fd = socket(AF_UNIX, type, 0);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) || (type == SOCK_STREAM && listen(fd, 0)))
        exit(3);
    return fd;
}

static int connect_to(int type, const char *path) {
    struct sockaddr_un at = local(path);
    int fd = socket(AF_UNIX, type, 0);
    if (connect(fd, (struct sockaddr *)&at, sizeof at) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static long send_to(int fd, const char *path, int flags) {
    struct sockaddr_un at = local(path);
    return sendto(fd, "x", 1, flags, (struct sockaddr *)&at, sizeof at);
}

static long message_to(int fd, const char *path) {
    struct sockaddr_un at = local(path);
    struct iovec part = {"x", 1};
    struct msghdr message = {&at, sizeof at, &part, 1, NULL, 0, 0};
    return sendmsg(fd, &message, 0);
}

static void connections(void) {
    struct sockaddr_un at = {0}, abstract = {.sun_family = AF_UNIX, .sun_path = "\0name"};
    server(SOCK_STREAM, "/tmp/stream");
    tell("allowed", connect_to(SOCK_STREAM, "/tmp/stream"));
    symlink("/tmp/kept/stream", "link");
    tell("refused", connect_to(SOCK_STREAM, "/tmp/kept/stream"));
    tell("relative", connect_to(SOCK_STREAM, "../tmp/kept/stream"));
    tell("through a link", connect_to(SOCK_STREAM, "/tmp/link"));
    tell("missing", connect_to(SOCK_STREAM, "/tmp/none"));
    tell("no socket", connect_to(SOCK_STREAM, "/tmp/one/file"));
    tell("another type", connect_to(SOCK_DGRAM, "/tmp/stream"));
    close(server(SOCK_STREAM, "/tmp/dead"));
    tell("nobody there", connect_to(SOCK_STREAM, "/tmp/dead"));
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), caller = socket(AF_UNIX, SOCK_STREAM, 0);
    bind(listener, (struct sockaddr *)&abstract, 7);
    listen(listener, 1);
    tell("abstract", connect(caller, (struct sockaddr *)&abstract, 7));
    at = local("/tmp/stream");
    tell("of the internet",
         connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&at, sizeof at));
    tell("no descriptor", connect(100, (struct sockaddr *)&at, sizeof at));
}

static void messages(void) {
    int to = server(SOCK_DGRAM, "/tmp/datagram"), from = socket(AF_UNIX, SOCK_DGRAM, 0);
    char byte;
    tell("sendto", send_to(from, "/tmp/datagram", 0));
    tell("sendmsg", message_to(from, "datagram"));
    printf("received: %zd %zd\n", recv(to, &byte, 1, 0), recv(to, &byte, 1, 0));
    tell("sendto refused", send_to(from, "/tmp/kept/datagram", 0));
    tell("sendmsg refused", message_to(from, "kept/datagram"));
    tell("connect refused", connect_to(SOCK_DGRAM, "/tmp/kept/datagram"));
    tell("connect", connect_to(SOCK_DGRAM, "/tmp/datagram"));
    tell("of a stream", send_to(socket(AF_UNIX, SOCK_STREAM, 0), "/tmp/kept/stream", 0));
}

static int sockets(void) {
    chdir("/tmp");
    mkdir("one", 0700);
    close(open("one/file", O_CREAT | O_WRONLY, 0600));
    connections();
    messages();
    return 0;
}

static void note(int number) {
    (void)number;
}

static void *take(void *listener) {
    accept(*(int *)listener, NULL, NULL);
    accept(*(int *)listener, NULL, NULL);
    return NULL;
}

/* Calls that wait for room. */
static int waits(void) {
    int listener = server(SOCK_STREAM, "/tmp/stream"), to = server(SOCK_DGRAM, "/tmp/datagram");
    int from = socket(AF_UNIX, SOCK_DGRAM, 0), full = 0;
    struct sockaddr_un at = local("/tmp/stream");
    struct timeval moment = {0, 20000};
    struct itimerval soon = {{0, 20000}, {0, 20000}}, never = {0};
    char byte;
    pthread_t taker;
    while (send_to(from, "/tmp/datagram", MSG_DONTWAIT) == 1)
        full++;
    tell("full", full ? -1 : 0);
    setsockopt(from, SOL_SOCKET, SO_SNDTIMEO, &moment, sizeof moment);
    tell("full for a moment", send_to(from, "/tmp/datagram", 0));
    recv(to, &byte, 1, 0);
    tell("room", send_to(from, "/tmp/datagram", 0));
    tell("first", connect_to(SOCK_STREAM, "/tmp/stream"));
    int second = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    tell("no waiting", connect(second, (struct sockaddr *)&at, sizeof at));
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = note}, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    tell("interrupted", connect_to(SOCK_STREAM, "/tmp/stream"));
    setitimer(ITIMER_REAL, &never, NULL);
    pthread_create(&taker, NULL, take, &listener);
    int third = connect_to(SOCK_STREAM, "/tmp/stream");
    tell("waited", third);
    printf("waits still: %s\n", fcntl(third, F_GETFL) & O_NONBLOCK ? "no" : "yes");
    pthread_join(taker, NULL);
    return 0;
}

static volatile int stop;

static void *change_link(void *unused) {
    while (!stop) {
        symlink("/tmp/kept/datagram", "/tmp/next");
        rename("/tmp/next", "/tmp/link");
        symlink("/tmp/datagram", "/tmp/next");
        rename("/tmp/next", "/tmp/link");
    }
    return unused;
}

/* Sends through a link that leads now to one socket, now to another. */
static int race(void) {
    int to = server(SOCK_DGRAM, "/tmp/datagram"), from = socket(AF_UNIX, SOCK_DGRAM, 0);
    int sent = 0, refused = 0;
    char byte;
    pthread_t changer;
    pthread_create(&changer, NULL, change_link, NULL);
    while (sent < 200 || refused < 200) {
        if (send_to(from, "/tmp/link", 0) == 1) {
            recv(to, &byte, 1, 0);
            sent++;
        } else if (errno == EACCES) {
            refused++;
        }
    }
    stop = 1;
    pthread_join(changer, NULL);
    puts("sent and refused");
    return 0;
}

/* What lies in the inode is changed without a descriptor that is open for writing. */
static int attributes(void) {
    const char *paths[] = {"/tmp/open", "/tmp/kept/file"};
    for (int i = 0; i < 2; i++) {
        int flags = 0, fd = open(paths[i], O_RDONLY);
        struct fsxattr extended = {0};
        int refused = ioctl(fd, FS_IOC_SETFLAGS, &flags) && errno == EACCES;
        refused += ioctl(fd, FS_IOC_FSSETXATTR, &extended) && errno == EACCES;
        printf("%s: %d refused\n", paths[i], fd < 0 ? -1 : refused);
    }
    return 0;
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "attributes"))
        return attributes();
    if (!strcmp(what, "links"))
        return links();
    if (!strcmp(what, "sockets"))
        return sockets();
    if (!strcmp(what, "waits"))
        return waits();
    if (!strcmp(what, "race"))
        return race();
    return 2;
}
