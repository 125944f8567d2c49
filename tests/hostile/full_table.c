/* With every number taken, whatever makes a descriptor must fail: what does not
 * fit may not go to the monitor's numbers. Descriptors come by call, in
 * messages, and from /proc/self/fd. */
#include "hostile.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

static int limit, pair[2], listener, client;

/* How many descriptors a message brought. */
static int taken(void) {
    char control[CMSG_SPACE(sizeof(int))], byte;
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    if (recvmsg(pair[1], &message, MSG_DONTWAIT) < 0)
        return -1;
    struct cmsghdr *first = CMSG_FIRSTHDR(&message);
    return first && first->cmsg_len > CMSG_LEN(0);
}

static void fill(void) {
    while (dup(0) >= 0)
        ;
    printf("full: %s\n", error_name(errno));
}

static void pass_another(void) {
    if (pass(pair[0], 0) < 0 || taken() != 0)
        printf("OPENED by a message\n");
}
#define REFUSED(call)                                                                              \
    do {                                                                                           \
        if ((call) >= 0)                                                                           \
            printf("OPENED %s\n", #call);                                                          \
    } while (0)

static void nothing_fits(void) {
    int two[2];
    REFUSED(open("/dev/null", O_RDWR));
    REFUSED(openat(AT_FDCWD, "/proc/self/fd", O_RDONLY));
    REFUSED(openat(AT_FDCWD, "/proc/self/fd/0", O_RDONLY));
    REFUSED(open("/proc/self/maps", O_RDONLY));
    REFUSED(fcntl(0, F_DUPFD, 0));
    REFUSED(fcntl(0, F_DUPFD_CLOEXEC, limit));
    REFUSED(dup2(0, limit));
    REFUSED(dup3(0, limit + 600, O_CLOEXEC));
    REFUSED(pipe(two));
    REFUSED(socket(AF_UNIX, SOCK_STREAM, 0));
    REFUSED(socketpair(AF_UNIX, SOCK_STREAM, 0, two));
    REFUSED(accept(listener, NULL, NULL));
    REFUSED(epoll_create1(0));
    REFUSED(eventfd(0, 0));
    REFUSED(timerfd_create(CLOCK_MONOTONIC, 0));
    sigset_t none;
    sigemptyset(&none);
    REFUSED(signalfd(-1, &none, 0));
    REFUSED(inotify_init());
    REFUSED(memfd_create("x", 0));
    REFUSED(syscall(SYS_pidfd_open, getpid(), 0));
    pass_another();
}

/* Raising the limit again, as far as it goes, opens no way either. */
static void raise_limit(void) {
    struct rlimit most = {1 << 20, 1 << 20};
    REFUSED(setrlimit(RLIMIT_NOFILE, &most));
    MUST(getrlimit(RLIMIT_NOFILE, &most));
    most.rlim_cur = most.rlim_max;
    MUST(setrlimit(RLIMIT_NOFILE, &most));
    limit = (int)most.rlim_max;
    fill();
    REFUSED(dup2(0, limit));
    REFUSED(fcntl(limit, F_GETFD));
    pass_another();
}

static void *brief(void *value) {
    return value;
}

int main(void) {
    struct rlimit now;
    pthread_t thread;
    struct sockaddr local = {.sa_family = AF_UNIX};
    socklen_t size = sizeof(sa_family_t);
    struct sockaddr_storage own;
    MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    listener = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
    MUST(bind(listener, &local, size)); /* a name that the kernel makes up */
    MUST(listen(listener, 4));
    size = sizeof own;
    MUST(getsockname(listener, (struct sockaddr *)&own, &size));
    client = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
    MUST(connect(client, (struct sockaddr *)&own, size));
    MUST(getrlimit(RLIMIT_NOFILE, &now));
    limit = (int)now.rlim_cur;
    fill();
    nothing_fits();
    raise_limit();
    IS(pthread_create(&thread, NULL, brief, NULL) == 0 && pthread_join(thread, NULL) == 0);
    syscall(SYS_close_range, 3, ~0u, 0);
    survived();
    return 0;
}
