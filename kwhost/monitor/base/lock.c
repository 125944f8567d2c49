#include "base/lock.h"

#include <linux/futex.h>

#include "base/host.h"

/* The classic three-state futex mutex (U. Drepper, "Futexes are tricky", mutex2). */
void lock_take(struct lock *lock) {
    u32 seen = 0;
    if (__atomic_compare_exchange_n(&lock->state, &seen, 1, false, __ATOMIC_ACQUIRE,
                                    __ATOMIC_RELAXED))
        return;
    if (seen != 2)
        seen = __atomic_exchange_n(&lock->state, 2, __ATOMIC_ACQUIRE);
    while (seen != 0) {
        host(__NR_futex, &lock->state, FUTEX_WAIT_PRIVATE, 2, 0);
        seen = __atomic_exchange_n(&lock->state, 2, __ATOMIC_ACQUIRE);
    }
}

void lock_release(struct lock *lock) {
    if (__atomic_exchange_n(&lock->state, 0, __ATOMIC_RELEASE) == 2)
        host(__NR_futex, &lock->state, FUTEX_WAKE_PRIVATE, 1);
}
