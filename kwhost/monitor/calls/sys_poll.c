/* poll and ppoll. The array is copied: the guest may change its own while the host looks at it. */
#include <linux/poll.h>

#include "calls/handlers.h"
#include "calls/wait.h"
#include "process/exec.h"
#include "process/signal.h"

#define NO_SUCH_FD 0x7fffffff /* above any table: the host answers POLLNVAL */
#define MASK_SIZE sizeof(u64)

/* The copied array. */
struct polled {
    struct big memory;
    struct pollfd *entry;
    u64 count;
};

static long poll_begin(struct thread *thread, gva_t from, u64 count, struct polled *polled) {
    if (count > thread->process->rlimits[RLIMIT_NOFILE].rlim_cur || count > own_fd_base())
        return -EINVAL;
    if (!big_take(thread, count * sizeof *polled->entry, &polled->memory))
        return -ENOMEM;
    polled->entry = polled->memory.data;
    polled->count = count;
    if (copy_from_guest(polled->entry, from, count * sizeof *polled->entry)) {
        big_release(&polled->memory);
        return -EFAULT;
    }
    for (u64 i = 0; i < count; i++)
        if (polled->entry[i].fd >= 0 && !guest_fd_ok((u64)polled->entry[i].fd))
            polled->entry[i].fd = NO_SUCH_FD;
    return 0;
}

/* Hands the answers back, only them, and releases the copy. Returns `result`, or -EFAULT. */
static long poll_end(struct polled *polled, gva_t to, long result) {
    if (result >= 0 || result == -EINTR) {
        for (u64 i = 0; i < polled->count; i++) {
            gva_t at = to + i * sizeof *polled->entry + offsetof(struct pollfd, revents);
            if (put_guest(polled->entry[i].revents, at)) {
                result = -EFAULT;
                break;
            }
        }
    }
    big_release(&polled->memory);
    return result;
}

long sys_poll(struct call *call) {
    struct thread *thread = call->thread;
    struct __kernel_timespec left;
    struct polled polled;
    int timeout = (int)call->arg[2];
    long failed = poll_begin(thread, call->arg[0], (u32)call->arg[1], &polled);
    if (failed)
        return failed;
    if (timeout > 0)
        left = deadline_left(deadline_start(thread, (u64)timeout * 1000000));
    else
        left = ns_timespec(0);
    const u64 arg[6] = {(u64)polled.entry, polled.count, timeout < 0 ? 0 : (u64)&left, 0,
                        MASK_SIZE};
    long result = poll_end(&polled, call->arg[0], wait_call(thread, __NR_ppoll, arg));
    return result == -EINTR ? -ERESTARTBLOCK : result;
}

long sys_ppoll(struct call *call) {
    struct thread *thread = call->thread;
    struct __kernel_timespec left = {0, 0};
    struct polled polled;
    u64 space, host_mask = 0;
    const u64 *mask;

    /* The host writes what is left of the timeout into the copy; so does Linux for the guest, and a
     * call made again finds it there. */
    if (call->arg[2]) {
        if (get_guest(left, call->arg[2]))
            return -EFAULT;
        if (!timespec_valid(&left))
            return -EINVAL;
    }
    long failed = mask_argument(call->arg[3], call->arg[4], &space, &mask);
    if (!failed)
        failed = poll_begin(thread, call->arg[0], (u32)call->arg[1], &polled);
    if (failed)
        return failed;
    if (mask)
        host_mask = signal_host_mask(*mask);
    bool timed = call->arg[2] && (left.tv_sec || left.tv_nsec);
    const u64 arg[6] = {(u64)polled.entry, polled.count, call->arg[2] ? (u64)&left : 0,
                        mask ? (u64)&host_mask : 0, MASK_SIZE};
    long result = wait_call_masked(thread, mask, __NR_ppoll, arg);
    result = poll_end(&polled, call->arg[0], result);
    /* Read-only time is no error, but the call cannot be made again then. */
    if (timed && put_guest(left, call->arg[2]))
        return result;
    return restart_nohand(result);
}
