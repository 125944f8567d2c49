#include "base/lock.h"

#include <asm/prctl.h>

#include "base/host.h"
#include "base/report.h"

static struct lock_holder *present_holder(void) {
    struct lock_holder *self;
    __asm__("mov %%gs:0, %0" : "=r"(self));
    return self;
}

void lock_holder_start(struct lock_holder *holder, u32 tid) {
    holder->self = holder;
    holder->held = (struct robust_list_head){
        .list.next = &holder->held.list,
        .futex_offset = (long)offsetof(struct lock, state) - (long)offsetof(struct lock, link),
    };
    holder->tid = tid;
    host(__NR_arch_prctl, ARCH_SET_GS, holder);
    host(__NR_set_robust_list, &holder->held, sizeof holder->held);
}

/* Says on which lock the next steps work, so that the kernel sees an end between them. */
static void announce(struct lock_holder *holder, struct robust_list *link) {
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    holder->held.list_op_pending = link;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static bool try_take(struct lock *lock, u32 *seen, u32 wanted) {
    return __atomic_compare_exchange_n(&lock->state, seen, wanted, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

/* Others may wait as well: taken this way, the lock is released with a wake. The futex is not a
 * private one, because the kernel's wake is not. */
static void wait_and_take(struct lock *lock, u32 tid, u32 seen) {
    for (;;) {
        if (seen & FUTEX_OWNER_DIED)
            monitor_fail(125, "a process was killed while it changed the memory it shares with "
                              "this one, which cannot go on");
        if (!(seen & FUTEX_TID_MASK)) {
            if (try_take(lock, &seen, tid | FUTEX_WAITERS))
                return;
        } else if ((seen & FUTEX_WAITERS) || try_take(lock, &seen, seen | FUTEX_WAITERS)) {
            host(__NR_futex, &lock->state, FUTEX_WAIT, seen | FUTEX_WAITERS, 0);
            seen = __atomic_load_n(&lock->state, __ATOMIC_RELAXED);
        }
    }
}

void lock_take(struct lock *lock) {
    struct lock_holder *holder = present_holder();
    u32 seen = 0;
    announce(holder, &lock->link);
    if (!try_take(lock, &seen, holder->tid))
        wait_and_take(lock, holder->tid, seen);
    lock->link.next = holder->held.list.next;
    __atomic_store_n(&holder->held.list.next, &lock->link, __ATOMIC_RELEASE);
    announce(holder, NULL);
}

void lock_release(struct lock *lock) {
    struct lock_holder *holder = present_holder();
    announce(holder, &lock->link);
    holder->held.list.next = lock->link.next;
    if (__atomic_exchange_n(&lock->state, 0, __ATOMIC_RELEASE) & FUTEX_WAITERS)
        host(__NR_futex, &lock->state, FUTEX_WAKE, 1);
    announce(holder, NULL);
}
