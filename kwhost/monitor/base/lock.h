/* A mutual exclusion lock on a futex. Works between the threads of one monitor and its vfork'd
 * children, which share memory. Not recursive. Zeroed memory is an unlocked lock. */
#ifndef KW_BASE_LOCK_H
#define KW_BASE_LOCK_H

#include "base/types.h"

struct lock {
    u32 state; /* 0 free, 1 held, 2 held and waited for */
};

void lock_take(struct lock *lock);
void lock_release(struct lock *lock);

#endif
