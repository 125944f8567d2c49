/* What rows of jail/filter.def and jail/program_filter.def have in common. */
#ifndef KW_JAIL_FILTER_WORDS_H
#define KW_JAIL_FILTER_WORDS_H

#include <asm/socket.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <linux/tcp.h>

#include "jail/kernel.h"

#define NAMESPACES                                                                                 \
    (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP |  \
     CLONE_NEWNET)
#define AF_NETLINK 16
#define SOL_NETLINK 270
#define SOL_MPTCP 284
#define FAMILIES AF_UNIX, AF_INET, AF_INET6, AF_NETLINK
#define SOCKET_LEVELS                                                                              \
    SOL_SOCKET, IPPROTO_IP, IPPROTO_IPV6, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP,                \
        IPPROTO_UDPLITE, IPPROTO_RAW, SOL_NETLINK, SOL_MPTCP
#define IP_TABLES_FIRST 64
#define IP6_TABLES 64, 65, 68, 69

#endif
