/* Kernel interfaces that the uapi headers leave to the C library, and those newer than the headers
 * of the oldest supported build machine. */
#ifndef KW_JAIL_KERNEL_H
#define KW_JAIL_KERNEL_H

#include <linux/fcntl.h>
#include <linux/memfd.h>
#include <linux/mount.h>
#include <linux/stat.h>
#include <linux/uio.h>

#include "base/host.h"

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define SOCK_SEQPACKET 5
#define SOCK_CLOEXEC O_CLOEXEC
#define SOL_SOCKET 1
#define SCM_RIGHTS 1
#define MSG_PEEK 0x02
#define MSG_CTRUNC 0x08
#define MSG_TRUNC 0x20
#define MSG_DONTWAIT 0x40
#define MSG_NOSIGNAL 0x4000
#define MSG_CMSG_CLOEXEC 0x40000000

#define MNT_DETACH 2
#define SPLICE_F_NONBLOCK 2
#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

enum { /* fsconfig(2): an enum in the headers of some releases, absent from others' namespaces */
       CONFIG_FLAG = 0,
       CONFIG_STRING = 1,
       CONFIG_CREATE = 6,
};

struct message_header { /* struct msghdr */
    void *name;
    u32 name_size;
    struct iovec *vector;
    u64 vector_count;
    void *control;
    u64 control_size;
    u32 flags;
};
struct control_header { /* struct cmsghdr */
    u64 size;
    s32 level, type;
};

/* Wait statuses. */
#define status_exited(status) (((status)&0x7f) == 0)
#define status_code(status) (((status) >> 8) & 0xff)
#define status_signal(status) ((status)&0x7f)

/* What stands at `path` below `directory`; AT_EMPTY_PATH in flags: of the descriptor itself. */
static inline long host_stat(int directory, const char *path, u32 flags, struct statx *result) {
    return host(__NR_statx, directory, path, flags, STATX_BASIC_STATS, result);
}

#endif
