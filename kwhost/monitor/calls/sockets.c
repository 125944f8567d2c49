/* Sockets: families, options, and calls whose restart depends on a time-out. */
#include <linux/filter.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/net.h>
#include <linux/netlink.h>
#include <linux/socket.h>
#include <linux/tcp.h>
#include <linux/time_types.h>
#include <linux/udp.h>
#include <asm/socket.h>

#include "calls/call.h"
#include "calls/dispatch.h"
#include "calls/handlers.h"
#include "calls/sockets.h"
#include "calls/stats.h"
#include "process/thread.h"

enum { SOCK_STREAM = 1, SOCK_DGRAM = 2, SOCK_RAW = 3 };
enum { FAMILY_UNIX = 1, FAMILY_INET = 2, FAMILY_INET6 = 10, FAMILY_NETLINK = 16 };
enum { LEVEL_SOCKET = 1, LEVEL_NETLINK = 270, LEVEL_MPTCP = 284 };
#define TYPE_MASK 0xf /* the bits above are flags */
#define TYPE_LAST 10
#define IP_TABLES_FIRST 64 /* options of iptables, and above 199 of the multicast router */
#define IPV6_LAST 79
#define MPTCP_LAST 3 /* MPTCP_SUBFLOW_ADDRS */

/* The internet protocols that instances get. What a guest asks for must not make the host load
 * modules for other ones. */
static long check_internet(u32 type, s32 protocol) {
    if (type > TYPE_LAST)
        return 0; /* EINVAL from the kernel */
    if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_RAW)
        return -ESOCKTNOSUPPORT; /* among them SOCK_PACKET, which is of another family */
    if (protocol < 0 || protocol >= IPPROTO_MAX)
        return 0; /* EINVAL from the kernel */
    switch (protocol) {
    case 0:
    case IPPROTO_ICMP:
    case IPPROTO_TCP:
    case IPPROTO_UDP:
    case IPPROTO_ICMPV6:
    case IPPROTO_UDPLITE:
    case IPPROTO_RAW:
    case IPPROTO_MPTCP:
        return 0;
    default:
        return type == SOCK_RAW ? 0 : -EPROTONOSUPPORT; /* EPERM from the kernel */
    }
}

/* 0, or the errno of a socket that no instance gets. */
static long check_socket(struct call *call) {
    s32 family = (s32)call->arg[0], protocol = (s32)call->arg[2];
    u32 type = (u32)call->arg[1] & TYPE_MASK;
    long error = -EAFNOSUPPORT;

    if (family == FAMILY_UNIX)
        return 0;
    if (family == FAMILY_INET || family == FAMILY_INET6) {
        error = check_internet(type, protocol);
        if (!error)
            return 0;
    } else if (family == FAMILY_NETLINK) {
        if (protocol == NETLINK_ROUTE)
            return 0;
        error = -EPROTONOSUPPORT;
    }
    stats_refused(call->nr);
    return error;
}

long sys_socket(struct call *call) {
    long refused = check_socket(call);
    return refused ? refused : call_forward(call);
}

long sys_socketpair(struct call *call) {
    long refused = check_socket(call);
    return refused ? refused : call_forward(call);
}

/* With a time-out set, the kernel gives EINTR whatever the handler's flags are. */
static bool has_timeout(int fd, int option) {
    struct __kernel_old_timeval value = {0, 0};
    u32 size = sizeof(value);
    if (host(__NR_getsockopt, fd, LEVEL_SOCKET, option, &value, &size))
        return false;
    return value.tv_sec || value.tv_usec;
}

static bool is_sending(u64 nr) {
    return nr == __NR_write || nr == __NR_writev || nr == __NR_sendto || nr == __NR_sendmsg ||
           nr == __NR_sendmmsg || nr == __NR_connect;
}

long socket_restart(struct call *call, long result) {
    if (result != -ERESTARTSYS)
        return result;
    return has_timeout((s32)call->arg[0], is_sending(call->nr) ? SO_SNDTIMEO_OLD : SO_RCVTIMEO_OLD)
               ? -EINTR
               : result;
}

long socket_error(s32 fd, long failed) {
    s32 type;
    u32 size = sizeof(type);
    long result = host(__NR_getsockopt, fd, LEVEL_SOCKET, SO_TYPE, &type, &size);
    return result < 0 ? result : failed;
}

long socket_forward(struct call *call) {
    return socket_restart(call, call_forward(call));
}

/* Whether an option is one that takes plain data and means the socket alone. */
static bool option_ok(s32 level, s32 option, bool setting) {
    switch (level) {
    case LEVEL_SOCKET:
        /* Programs of the guest's in the kernel: classic filters only, which are copied. */
        return option != SO_ATTACH_BPF && option != SO_ATTACH_REUSEPORT_EBPF &&
               option != SO_ATTACH_REUSEPORT_CBPF;
    case IPPROTO_TCP:
        /* Maps memory; loads modules; writes the state of connections. */
        return option != TCP_ZEROCOPY_RECEIVE && option != TCP_ULP && option != TCP_REPAIR;
    case IPPROTO_UDP:
        return option != UDP_ENCAP || !setting;
    case IPPROTO_IP:
        return option < IP_TABLES_FIRST;
    case IPPROTO_IPV6:
        /* Those of ip6tables lie between the socket's own. */
        return option <= IPV6_LAST && option != 64 && option != 65 && option != 68 && option != 69;
    case IPPROTO_ICMPV6:
    case IPPROTO_UDPLITE:
    case IPPROTO_RAW:
    case LEVEL_NETLINK:
        return true;
    case LEVEL_MPTCP:
        /* MPTCP_FULL_INFO, the next one, holds pointers that the kernel writes through. */
        return option <= MPTCP_LAST;
    default:
        return false;
    }
}

/* A classic filter holds a pointer to its instructions: both are copied. */
static long attach_filter(struct call *call, struct host_args *args) {
    struct sock_fprog program;
    void *copy;
    u64 size;

    if ((s32)call->arg[4] != (s32)sizeof(program))
        return -EINVAL;
    if (copy_from_guest(&program, call->arg[3], sizeof(program)))
        return -EFAULT;
    if (!program.len || program.len > BPF_MAXINSNS)
        return -EINVAL;
    size = program.len * sizeof(struct sock_filter);
    copy = scratch_take(call->thread, size);
    if (!copy)
        return -ENOMEM;
    if (copy_from_guest(copy, (gva_t)program.filter, size))
        return -EFAULT;
    program.filter = copy;
    return host(__NR_setsockopt, args->value[0], args->value[1], args->value[2], &program,
                sizeof(program));
}

long sys_setsockopt(struct call *call) {
    const struct call_entry *entry = &call_table[__NR_setsockopt];
    s32 level = (s32)call->arg[1], option = (s32)call->arg[2];
    struct host_args args;
    long result = translate_args(call, entry, &args);

    if (result)
        return result;
    if (!option_ok(level, option, true)) {
        stats_refused(call->nr);
        return socket_error((s32)call->arg[0], -ENOPROTOOPT);
    }
    if (level == LEVEL_SOCKET && option == SO_ATTACH_FILTER)
        return attach_filter(call, &args);
    return make_host_call(call, entry, &args);
}

long sys_getsockopt(struct call *call) {
    if (!option_ok((s32)call->arg[1], (s32)call->arg[2], false)) {
        stats_refused(call->nr);
        return guest_fd_ok(call->arg[0]) ? socket_error((s32)call->arg[0], -ENOPROTOOPT) : -EBADF;
    }
    return call_forward(call);
}
