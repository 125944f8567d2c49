/* What the message calls share with the other socket calls. */
#ifndef KW_CALLS_SOCKETS_H
#define KW_CALLS_SOCKETS_H

#include "calls/call.h"

/* After a socket call: turns -ERESTARTSYS into -EINTR where the socket has a time-out. */
long socket_restart(struct call *call, long result);

/* The errno of a call on `fd` (checked) that failed before the host was asked: what is wrong with
 * the descriptor goes first, then `failed`. */
long socket_error(s32 fd, long failed);

#endif
