/* Translation of single arguments, for handlers that take structures apart themselves. */
#ifndef KW_CALLS_TRANSLATE_H
#define KW_CALLS_TRANSLATE_H

#include <linux/uio.h>

#include "calls/call.h"

/* Host address of a buffer: NULL stays NULL, a range outside the window becomes WILD_POINTER. */
u64 host_buffer(gva_t address, u64 size);

/* Copy into the thread's scratch memory and set *result to the copy, or to WILD_POINTER when the
 * kernel shall find the fault. Return 0 or -ENOMEM. */
long copy_iovec(struct thread *thread, gva_t from, u64 count, u64 *result);
long copy_sockaddr(struct thread *thread, gva_t from, u64 length, u64 *result);

#endif
