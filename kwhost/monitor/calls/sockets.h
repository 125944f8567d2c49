/* What the message calls share with the other socket calls. */
#ifndef KW_CALLS_SOCKETS_H
#define KW_CALLS_SOCKETS_H

#include "calls/call.h"

/* The kernel's struct user_msghdr. */
struct message {
    u64 name;
    s32 name_size;
    u32 padding;
    u64 vector;
    u64 vector_count;
    u64 control;
    u64 control_size;
    u32 flags;
    u32 padding2;
};
#define MSG_DONTWAIT_FLAG 0x40

/* struct sockaddr_un */
struct local_address {
    u16 family;
    char path[108];
};

/* After a socket call: turns -ERESTARTSYS into -EINTR where the socket has a time-out. */
long socket_restart(struct call *call, long result);

/* The errno of a call on `fd` (checked) that failed before the host was asked: what is wrong with
 * the descriptor goes first, then `failed`. */
long socket_error(s32 fd, long failed);

#endif
