/* What a call is told changes while it is looked at: one thread flips it
 * between something permitted and something that is not, another calls. Each
 * prints how often the call went well, and how often it did what is not
 * permitted. The policy is that of test_policy_races.py. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MONITOR 0x7f0000000000ul
#define PERMITTED 8080
#define DENIED 8081
#define FLIPS_MIN 100000

static volatile int stop;
static volatile unsigned long flips;
static int good, won, missing;

/* The word that flips, and its two values. */
static volatile unsigned long *word;
static unsigned long fine, foul;

static void *flip(void *unused) {
    while (!stop) {
        *word = foul;
        *word = fine;
        flips++;
    }
    return unused;
}

/* Calls for a second and a half, and until the word has flipped so often and a call went well
 * (where there is such a call), however busy the machine is. */
static void race(void *at, unsigned long with, unsigned long instead, void (*attempt)(void)) {
    pthread_t thread;
    struct timespec now, start;
    word = at, fine = with, foul = instead;
    *word = fine;
    pthread_create(&thread, NULL, flip, NULL);
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        attempt();
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 < 1500 ||
             flips < FLIPS_MIN || !(good || missing));
    stop = 1;
    pthread_join(thread, NULL);
    printf("%s, won %d\n", good ? "went well" : "never went well", won);
}

/* open_how: reading is permitted, writing is not. */
static struct open_how how;
static void open_file(void) {
    int fd = (int)syscall(SYS_openat2, AT_FDCWD, "/tmp/kept/file", &how, sizeof how);
    good += fd >= 0;
    won += fd >= 0 && write(fd, "x", 1) == 1;
    if (fd >= 0)
        close(fd);
}

/* clone_args: a child, or a child in a user namespace of its own. */
static struct clone_args arguments;
static void make_child(void) {
    int status = 0;
    arguments.exit_signal = SIGCHLD;
    pid_t child = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
    if (child == 0)
        _exit(getuid() != 0);
    missing = child < 0 && errno == ENOSYS;
    if (child > 0 && waitpid(child, &status, 0) == child) {
        good++;
        won += WEXITSTATUS(status) != 0;
    }
}

/* msghdr: the address, the descriptor that goes along, the bytes. */
static struct sockaddr_in permitted, denied;
static struct msghdr message;
static struct iovec part;
static char control[CMSG_SPACE(sizeof(int))];
static int sender, receiver, other;

static int bound(int port) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)&at, sizeof at))
        exit(3);
    return fd;
}

static void set_up_addresses(void) {
    receiver = bound(PERMITTED), other = bound(DENIED);
    sender = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    permitted.sin_family = denied.sin_family = AF_INET;
    permitted.sin_addr.s_addr = denied.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    permitted.sin_port = htons(PERMITTED), denied.sin_port = htons(DENIED);
    part = (struct iovec){"x", 1};
    message = (struct msghdr){&permitted, sizeof permitted, &part, 1, NULL, 0, 0};
}

static void send_to(void) {
    char byte;
    good += sendmsg(sender, &message, MSG_DONTWAIT) == 1;
    while (recv(receiver, &byte, 1, 0) == 1)
        ;
    while (recv(other, &byte, 1, 0) == 1)
        won++;
}

/* Of the address itself, which lies in the program's memory. */
static void send_beside(void) {
    char byte;
    good +=
        sendto(sender, "x", 1, MSG_DONTWAIT, (struct sockaddr *)&permitted, sizeof permitted) == 1;
    while (recv(receiver, &byte, 1, 0) == 1)
        ;
    while (recv(other, &byte, 1, 0) == 1)
        won++;
}

static void set_up_passing(void) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair))
        exit(3);
    sender = pair[0], receiver = pair[1];
    part = (struct iovec){"x", 1};
    message = (struct msghdr){NULL, 0, &part, 1, control, sizeof control, 0};
    *(struct cmsghdr *)control = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
}

/* Number 1 is permitted to be passed; whatever the monitor has is not. */
static void pass(void) {
    char bytes[CMSG_SPACE(sizeof(int))], byte;
    struct iovec into = {&byte, 1};
    struct msghdr got = {NULL, 0, &into, 1, bytes, sizeof bytes, 0};
    if (sendmsg(sender, &message, MSG_DONTWAIT) != 1)
        return;
    good++;
    while (recvmsg(receiver, &got, MSG_DONTWAIT) == 1) {
        char path[64], target[64] = "";
        int fd = *(int *)CMSG_DATA((struct cmsghdr *)bytes);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(path, target, sizeof target - 1);
        won += length < 0 || strncmp(target, "pipe:", 5) != 0;
        close(fd);
        got.msg_controllen = sizeof bytes;
    }
}

static unsigned long monitors_own(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_max + 1;
}

/* iovec: a buffer of the program's, or memory of the monitor's. */
static char letters[64];
static void write_vector(void) {
    char got[4096];
    good += writev(sender, &part, 1) > 0;
    for (ssize_t size; (size = read(receiver, got, sizeof got)) > 0;)
        for (ssize_t i = 0; i < size; i++)
            won += got[i] != 'a';
}

static void set_up_vector(void) {
    int ends[2];
    if (pipe2(ends, O_NONBLOCK))
        exit(3);
    receiver = ends[0], sender = ends[1];
    memset(letters, 'a', sizeof letters);
    part = (struct iovec){letters, sizeof letters};
}

/* execve: this program is permitted in one place and not in the other; the word
 * is the whole path. */
static char program[16] __attribute__((aligned(8)));
static void execute(void) {
    int status = 0;
    char *argv[] = {"races", "where", NULL};
    pid_t child = fork();
    if (child == 0) {
        execve(program, argv, NULL);
        _exit(99);
    }
    waitpid(child, &status, 0);
    good += status == 0;
    won += WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

static unsigned long letters_of(const char *text) {
    unsigned long value = 0;
    memcpy(&value, text, sizeof value);
    return value;
}

static int runs_from_tmp(void) {
    char path[64] = "";
    return readlink("/proc/self/exe", path, sizeof path - 1) < 0 || !strncmp(path, "/tmp", 4);
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "open_how"))
        race(&how.flags, O_RDONLY, O_RDWR, open_file);
    else if (!strcmp(what, "where"))
        return runs_from_tmp();
    else if (!strcmp(what, "clone_args"))
        race(&arguments.flags, 0, CLONE_NEWUSER, make_child);
    else if (!strcmp(what, "msghdr")) {
        set_up_addresses();
        race(&message.msg_name, (unsigned long)&permitted, (unsigned long)&denied, send_to);
    } else if (!strcmp(what, "sockaddr")) {
        unsigned long with, instead;
        set_up_addresses();
        memcpy(&with, &permitted, 8), memcpy(&instead, &denied, 8);
        race(&permitted, with, instead, send_beside);
    } else if (!strcmp(what, "passing")) {
        set_up_passing();
        race(CMSG_DATA((struct cmsghdr *)control), 1, monitors_own(), pass);
    } else if (!strcmp(what, "iovec")) {
        set_up_vector();
        race(&part.iov_base, (unsigned long)letters, MONITOR, write_vector);
    } else if (!strcmp(what, "iovec-length")) {
        set_up_vector();
        race(&part.iov_len, sizeof letters, -1ul, write_vector);
    } else if (!strcmp(what, "path")) {
        race(program, letters_of("/bin/aye"), letters_of("/tmp/nay"), execute);
    } else
        return 2;
    return 0;
}
