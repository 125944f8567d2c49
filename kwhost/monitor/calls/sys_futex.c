/* futex: the host's own, on the same memory. */
#include <linux/futex.h>

#include "calls/handlers.h"
#include "calls/translate.h"
#include "calls/wait.h"
#include "process/thread.h"

enum fourth { FOURTH_UNUSED, FOURTH_TIME, FOURTH_NUMBER };

/* What the operation's fourth argument is, and whether it has a second address. */
static enum fourth fourth_argument(int command, bool *second) {
    *second = false;
    switch (command) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET:
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2:
        return FOURTH_TIME;
    case FUTEX_WAIT_REQUEUE_PI:
        *second = true;
        return FOURTH_TIME;
    case FUTEX_REQUEUE:
    case FUTEX_CMP_REQUEUE:
    case FUTEX_CMP_REQUEUE_PI:
    case FUTEX_WAKE_OP:
        *second = true;
        return FOURTH_NUMBER;
    default:
        return FOURTH_UNUSED;
    }
}

/* How an interrupted operation goes on, as in the kernel. */
static long interrupted_futex(int command, bool timed, long result) {
    if (result != -EINTR)
        return result;
    if (command == FUTEX_WAIT || command == FUTEX_WAIT_BITSET)
        return timed ? -ERESTARTBLOCK : -ERESTARTSYS;
    return -ERESTARTNOINTR; /* the PI operations; nothing was done yet */
}

long sys_futex(struct call *call) {
    struct thread *thread = call->thread;
    int op = (int)call->arg[1], command = op & FUTEX_CMD_MASK;
    bool second;
    enum fourth fourth = fourth_argument(command, &second);
    struct __kernel_timespec time;
    u64 arg[6] = {host_pointer(call->arg[0]), (u64)op, call->arg[2], 0, 0, call->arg[5]};
    bool timed = fourth == FOURTH_TIME && call->arg[3];

    if (second)
        arg[4] = host_pointer(call->arg[4]);
    if (fourth == FOURTH_NUMBER)
        arg[3] = call->arg[3];
    if (timed) {
        if (get_guest(time, call->arg[3]))
            return -EFAULT;
        if (!timespec_valid(&time))
            return -EINVAL;
        arg[3] = (u64)&time;
        if (command == FUTEX_WAIT && !(op & FUTEX_CLOCK_REALTIME)) {
            /* Relative: only as a point in time can it be made again. */
            time = ns_timespec(deadline_start(thread, timespec_ns(&time)));
            arg[1] = (u64)(FUTEX_WAIT_BITSET | (op & FUTEX_PRIVATE_FLAG));
            arg[5] = FUTEX_BITSET_MATCH_ANY;
        }
    }
    if (fourth != FOURTH_TIME)
        return host6(__NR_futex, (long)arg[0], (long)arg[1], (long)arg[2], (long)arg[3],
                     (long)arg[4], (long)arg[5]);
    return interrupted_futex(command, timed, wait_call(thread, __NR_futex, arg));
}
