#include "jail/network.h"

#include <linux/sched.h>
#include <linux/sockios.h>

#include "abi/kw_abi.h"
#include "base/text.h"
#include "jail/channel.h"
#include "jail/kernel.h"

#define INTERFACE_UP 1 /* IFF_UP */

struct interface_request { /* struct ifreq */
    char name[16];
    u16 flags;
    u8 unused[22];
};

static bool enter(int fd, struct failure *failure) {
    long result = host(__NR_setns, fd, CLONE_NEWNET);
    return result >= 0 ||
           fail(failure, STATUS_OWN, result, "entering the instance's network namespace");
}

bool network_visit(int fd, int *home, struct failure *failure) {
    *home = KW_NO_FD;
    if (fd == KW_NO_FD)
        return true;
    long own = host(__NR_openat, AT_FDCWD, "/proc/self/ns/net", O_RDONLY | O_CLOEXEC, 0);
    if (own < 0)
        return fail(failure, STATUS_OWN, own, "opening this host's network namespace");
    *home = (int)own;
    return enter(fd, failure);
}

bool network_return(int home, struct failure *failure) {
    if (home == KW_NO_FD)
        return true;
    bool back = enter(home, failure);
    host(__NR_close, home);
    return back;
}

bool network_start(int proc, struct failure *failure) {
    struct interface_request request = {.name = "lo", .flags = INTERFACE_UP};
    long socket = host(__NR_socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    long result = socket < 0 ? socket : host(__NR_ioctl, socket, SIOCSIFFLAGS, &request);
    if (socket >= 0)
        host(__NR_close, socket);
    if (result < 0)
        return fail(failure, STATUS_OWN, result, "starting the instance's loopback network");
    long file =
        host(__NR_openat, proc, "sys/net/ipv4/ip_unprivileged_port_start", O_WRONLY | O_CLOEXEC, 0);
    result = file < 0 ? file : host(__NR_write, file, "0", 1);
    if (file >= 0)
        host(__NR_close, file);
    return result >= 0 || fail(failure, STATUS_OWN, result, "opening low ports to the instance");
}

bool network_wait(int channel, struct failure *failure) {
    struct channel_network message;
    u32 count;
    long result = channel_receive(channel, &message, sizeof message, NULL, 0, &count);
    if (result == 0)
        host(__NR_exit_group, STATUS_OWN);
    return (result == sizeof message && message.ready) ||
           fail(failure, STATUS_OWN, result < 0 ? result : 0, "waiting for the instance's network");
}

bool network_name(const char *name, struct failure *failure) {
    long result = host(__NR_sethostname, name, strlen(name));
    if (result >= 0) /* the host's own stays its own */
        result = host(__NR_setdomainname, "(none)", 6);
    return result >= 0 || fail(failure, STATUS_OWN, result, "setting the host name %s", name);
}

static _Noreturn void make_socket(int channel, int pidfd, bool with_user, u32 family, u32 type) {
    long result = host(__NR_setns, pidfd, CLONE_NEWNET | (with_user ? CLONE_NEWUSER : 0));
    if (result >= 0)
        result = host(__NR_socket, family, type | SOCK_CLOEXEC, 0);
    int fd = (int)result;
    channel_send(channel, &result, sizeof result, &fd, result >= 0);
    for (;;)
        host(__NR_exit_group, 0);
}

long network_socket(int pidfd, bool with_user, u32 family, u32 type) {
    int pair[2], fd = -1;
    u32 count = 0;
    long answer = -EIO;
    if ((family != AF_INET && family != AF_INET6) || (type != SOCK_STREAM && type != SOCK_DGRAM))
        return -EINVAL;
    long result = channel_pair(pair);
    if (result < 0)
        return result;
    long child = host(__NR_fork);
    if (child == 0)
        make_socket(pair[1], pidfd, with_user, family, type);
    host(__NR_close, pair[1]);
    if (child > 0 && channel_receive(pair[0], &answer, sizeof answer, &fd, 1, &count) < 0)
        answer = -EIO;
    host(__NR_close, pair[0]);
    if (child < 0)
        return child;
    while (host(__NR_wait4, child, 0, 0, 0) == -EINTR)
        ;
    return answer < 0 ? answer : count ? fd : -EIO;
}
