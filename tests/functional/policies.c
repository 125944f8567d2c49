/* What tests of policies run inside an instance. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static void show(const char *what, long result) {
    printf("%s: %s\n", what, result < 0 ? strerrorname_np(errno) : "ok");
}

/* Requests of ioctl, each with rubbish in the half of the register that the kernel does not see. */
static int requests(void) {
    char buffer[128] = "x";
    show("TCGETS", syscall(SYS_ioctl, 0, TCGETS, buffer));
    show("TIOCSTI", syscall(SYS_ioctl, 0, TIOCSTI, buffer));
    show("TIOCSTI with more", syscall(SYS_ioctl, 0, 0x100000000ul | TIOCSTI, buffer));
    return 0;
}

static struct sockaddr_in address(const char *text, int port) {
    struct sockaddr_in made = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    inet_pton(AF_INET, text, &made.sin_addr);
    return made;
}

static long send_to(int type, const char *text, int port, int family) {
    struct sockaddr_in to = address(text, port);
    int fd = socket(AF_INET, type, 0);
    to.sin_family = (unsigned short)family;
    long result = type == SOCK_DGRAM ? sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof to)
                                     : connect(fd, (struct sockaddr *)&to, sizeof to);
    int error = errno;
    close(fd);
    errno = error;
    return result;
}

static int addresses(void) {
    struct sockaddr_in here = address("127.0.0.1", 8080), there = address("127.0.0.1", 8081);
    struct iovec part = {"x", 1};
    struct msghdr message = {&there, sizeof there, &part, 1, NULL, 0, 0};
    int tcp = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0);
    show("bind 8080", bind(tcp, (struct sockaddr *)&here, sizeof here));
    show("listen 8080", listen(tcp, 1));
    show("bind 8081", bind(udp, (struct sockaddr *)&there, sizeof there));
    show("listen to any", listen(socket(AF_INET, SOCK_STREAM, 0), 1));
    show("tcp 8080", send_to(SOCK_STREAM, "127.0.0.1", 8080, AF_INET));
    show("tcp 8081", send_to(SOCK_STREAM, "127.0.0.1", 8081, AF_INET));
    show("tcp 0.0.0.0:8081", send_to(SOCK_STREAM, "0.0.0.0", 8081, AF_INET));
    show("udp 53", send_to(SOCK_DGRAM, "127.0.0.1", 53, AF_INET));
    show("udp 8080", send_to(SOCK_DGRAM, "127.0.0.1", 8080, AF_INET));
    show("udp 8080 of no family", send_to(SOCK_DGRAM, "127.0.0.1", 8080, AF_UNSPEC));
    show("sendmsg 8081", sendmsg(udp, &message, 0));
    return 0;
}

static void bind_local(const char *path) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    strcpy(at.sun_path, path);
    show(path, bind(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&at, sizeof at));
}

/* Changes an address as fast as it can while it is connected to. */
static struct sockaddr_in changing;
static volatile int stop;
static volatile unsigned long *changes; /* made so far, by a thread or a process */

/* A race is one only where changes were made all along: so many of them, however slow. */
#define CHANGES_LEAST 100
static void await_first_change(void) {
    alarm(60);
    while (!*changes)
        sched_yield();
}
static int races_on(int attempts, int least, unsigned long since) {
    return attempts < least || *changes - since < CHANGES_LEAST;
}

static void *change_address(void *unused) {
    (void)unused;
    while (!stop) {
        changing.sin_port = htons(8080);
        __asm__ volatile("" ::: "memory");
        changing.sin_port = htons(8081);
        __asm__ volatile("" ::: "memory");
        ++*changes;
    }
    return NULL;
}

/* Both ports have a listener. Nobody may ever arrive at 8081. */
static int race_address(void) {
    pthread_t changer;
    struct sockaddr_in peer;
    socklen_t size = sizeof peer;
    int won = 0, connected = 0;
    changing = address("127.0.0.1", 8080);
    pthread_create(&changer, NULL, change_address, NULL);
    await_first_change();
    unsigned long since = *changes;
    for (int i = 0; !connected || races_on(i, 1000, since); i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fd, (struct sockaddr *)&changing, sizeof changing) == 0) {
            size = sizeof peer;
            getpeername(fd, (struct sockaddr *)&peer, &size);
            connected++;
            won += peer.sin_port == htons(8081);
        }
        close(fd);
    }
    stop = 1;
    pthread_join(changer, NULL);
    printf("%s, %d of the wrong port\n", connected ? "connected" : "never connected", won);
    return 0;
}

static int listener(int port) {
    struct sockaddr_in at = address("127.0.0.1", port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 4096))
        exit(3);
    return fd;
}

/* Paths: "secret" must never be read, "open" may. */
static char changing_path[64] = "/tmp/open";

static void *change_path(void *unused) {
    (void)unused;
    while (!stop) {
        memcpy(changing_path + 5, "priv", 4);
        __asm__ volatile("" ::: "memory");
        memcpy(changing_path + 5, "open", 4);
        __asm__ volatile("" ::: "memory");
        ++*changes;
    }
    return NULL;
}

static void *change_link(void *unused) {
    (void)unused;
    while (!stop) {
        symlink("/tmp/priv", "/tmp/next");
        rename("/tmp/next", "/tmp/link");
        symlink("/tmp/open", "/tmp/next");
        rename("/tmp/next", "/tmp/link");
        ++*changes;
    }
    return NULL;
}

/* Descriptors: puts others in the place of those that the monitor opens on its way. */
static void *change_descriptors(void *unused) {
    int secret = open("/tmp/priv", O_PATH);
    (void)unused;
    while (!stop) {
        for (int fd = 10; fd < 20; fd++)
            dup2(secret, fd);
        ++*changes;
    }
    return NULL;
}

static int race_path(const char *path, void *(*changer)(void *)) {
    pthread_t thread;
    char text[16];
    int won = 0, read_open = 0;
    for (int fd = 3; fd < 9; fd++)
        open("/tmp/open", O_RDONLY);
    pthread_create(&thread, NULL, changer, NULL);
    await_first_change();
    unsigned long since = *changes;
    for (int i = 0; !read_open || races_on(i, 1500, since); i++) {
        int fd = open(path, O_RDONLY);
        long got = fd < 0 ? 0 : pread(fd, text, sizeof text, 0);
        if (fd >= 0 && changer != change_descriptors)
            close(fd);
        else if (fd >= 20)
            close(fd);
        won += got > 0 && text[0] == 's';
        read_open += got > 0 && text[0] == 'o';
    }
    stop = 1;
    pthread_join(thread, NULL);
    printf("%s, %d secrets\n", read_open ? "opened" : "never opened", won);
    return 0;
}

static void *do_nothing(void *unused) {
    pause();
    return unused;
}

/* Removes through a link that leads now to one directory, now to another. */
static int race_removal(void) {
    int left = 0, tried = 0;
    pid_t child = fork();
    if (child == 0)
        for (;; ++*changes) {
            symlink("/tmp/kept", "/tmp/next");
            rename("/tmp/next", "/tmp/way");
            symlink("/tmp/loose", "/tmp/next");
            rename("/tmp/next", "/tmp/way");
        }
    await_first_change();
    for (unsigned long since = *changes; races_on(tried, 500, since); tried++) {
        unlink("/tmp/way/file");
        int fd = open("/tmp/loose/file", O_CREAT | O_WRONLY, 0600);
        left += access("/tmp/kept/file", F_OK) == 0;
        close(fd);
    }
    kill(child, 9);
    waitpid(child, NULL, 0);
    puts(left == tried ? "always kept" : "removed");
    return 0;
}

static void *exchange(void *unused) {
    while (!stop)
        *changes += renameat2(AT_FDCWD, "/tmp/a/b", AT_FDCWD, "/tmp/a/c", RENAME_EXCHANGE) == 0;
    return unused;
}

/* Moves what is now a file, now a directory to a name beneath which more is granted. Returns
 * whether a directory got there. */
static int move_changing(void) {
    struct stat moved = {0};
    int files = 0;
    await_first_change();
    unsigned long since = *changes;
    for (int tried = 0; !S_ISDIR(moved.st_mode) && (!files || races_on(tried, 2000, since));
         tried++)
        if (rename("/tmp/a/b", "/tmp/z") == 0) {
            files++;
            lstat("/tmp/z", &moved);
            rename("/tmp/z", "/tmp/a/b");
        }
    return S_ISDIR(moved.st_mode);
}

static int race_move(void) {
    pthread_t thread;
    mkdir("/tmp/a", 0700);
    mkdir("/tmp/a/c", 0700);
    close(open("/tmp/a/b", O_CREAT | O_WRONLY, 0600));
    pid_t child = fork();
    if (child == 0)
        exchange(NULL);
    int won = move_changing();
    kill(child, 9);
    waitpid(child, NULL, 0);
    pthread_create(&thread, NULL, exchange, NULL);
    won = won || move_changing();
    stop = 1;
    pthread_join(thread, NULL);
    puts(won ? "moved a directory" : "moved files");
    return 0;
}

/* Renames with a table of descriptors that has room for one more, whichever. */
static int rename_with_room_for_one(void) {
    const char *name[] = {"/tmp/loose/file", "/tmp/z"};
    int moved = 0;
    pthread_t idle;
    for (int threads = 1; threads <= 2; threads++) {
        while (open("/tmp", O_PATH) >= 0)
            ;
        for (int i = 0; i < 8; i++) {
            close(3 + i);
            moved += rename(name[i % 2], name[(i + 1) % 2]) == 0;
            open("/tmp", O_PATH);
        }
        pthread_create(&idle, NULL, do_nothing, NULL);
    }
    printf("%d of 16\n", moved);
    return 0;
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    changes =
        mmap(NULL, sizeof *changes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (!strcmp(what, "requests"))
        return requests();
    if (!strcmp(what, "addresses"))
        return addresses();
    if (!strcmp(what, "race-address")) {
        int open = listener(8080), other = listener(8081);
        pid_t child = fork();
        if (child == 0)
            for (;;)
                close(accept(open, NULL, NULL));
        (void)other;
        race_address();
        kill(child, 9);
        return 0;
    }
    if (!strcmp(what, "local")) {
        chdir("/tmp");
        bind_local("/tmp/socket");
        bind_local("kept/socket");
        bind_local("/tmp/socket");
        printf("%s\n", access("/tmp/socket", F_OK) ? "not made" : "made");
        return 0;
    }
    if (!strcmp(what, "race-path"))
        return race_path(changing_path, change_path);
    if (!strcmp(what, "race-link"))
        return race_path("/tmp/link", change_link);
    if (!strcmp(what, "race-descriptors"))
        return race_path("../tmp/open", change_descriptors);
    pthread_t idle;
    if (!strcmp(what, "race-removal-among-threads"))
        pthread_create(&idle, NULL, do_nothing, NULL);
    if (!strncmp(what, "race-removal", 12))
        return race_removal();
    if (!strcmp(what, "race-move"))
        return race_move();
    if (!strcmp(what, "rename-with-room-for-one"))
        return rename_with_room_for_one();
    if (!strcmp(what, "forks")) {
        int made = 0;
        for (int i = 0; i < 10; i++) {
            pid_t child = fork();
            if (child == 0)
                _exit(0);
            made += child > 0;
            if (child > 0)
                waitpid(child, NULL, 0);
        }
        printf("%d of 10\n", made);
        return 0;
    }
    if (!strcmp(what, "until-allowed")) {
        while (mkdir("/tmp/made", 0700) && errno == EPERM)
            usleep(1000);
        puts("allowed");
        return 0;
    }
    return 2;
}
