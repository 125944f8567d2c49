/* The stub behind host_interruptible, and the labels that the signal handler compares RIP with. */
#ifndef KW_CALLS_INTERRUPTIBLE_H
#define KW_CALLS_INTERRUPTIBLE_H

#include "base/types.h"

/* -ERESTARTNOINTR: the call was not made (or the kernel wants it made again). */
long interruptible_call(const volatile u32 *signal_pending, const volatile u32 *work, long nr,
                        const u64 arg[6]);

/* Code addresses, not functions: RIP in [begin, end) continues at abort. */
extern const char interruptible_begin[], interruptible_end[], interruptible_abort[];

#endif
