/* Robust futexes: what Linux does with a dead thread's list, done by the monitor (the host never
 * sees the guest's list: it would walk it at moments the monitor does not control). */
#ifndef KW_PROCESS_ROBUST_H
#define KW_PROCESS_ROBUST_H

#include "process/thread.h"

/* Marks every futex on the thread's robust list as owned by a dead thread and wakes one waiter
 * each. The list is hostile: bounded, and every access may fault. Clears thread->robust_head. */
void robust_release(struct thread *thread);

#endif
