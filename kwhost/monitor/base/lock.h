/* A mutual exclusion lock on a futex. Works between the threads of one monitor and the processes
 * that share its memory (vfork). Not recursive; locks are released in the reverse order. Zeroed
 * memory is an unlocked lock.
 *
 * A process that is killed while it holds one may have left anything half done, even a hole in the
 * window. The kernel marks the lock then (robust futexes), and whoever takes it next ends with a
 * message. */
#ifndef KW_BASE_LOCK_H
#define KW_BASE_LOCK_H

#include <linux/futex.h>

#include "base/types.h"

struct lock {
    u32 state;               /* 0, or the holder's thread id with FUTEX_WAITERS, FUTEX_OWNER_DIED */
    struct robust_list link; /* of those that the holder holds */
};

/* What each host thread that takes locks has at its GS base. */
struct lock_holder {
    struct lock_holder *self;     /* must be first: gs:0 */
    struct robust_list_head held; /* read by the kernel when the thread ends */
    u32 tid;
};

/* Makes `holder` the present host thread's. Again in the child after fork: it has another id. */
void lock_holder_start(struct lock_holder *holder, u32 tid);

void lock_take(struct lock *lock);
void lock_release(struct lock *lock);

#endif
