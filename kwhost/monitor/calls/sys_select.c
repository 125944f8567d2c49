/* select and pselect6. */
#include <linux/time.h>

#include "base/text.h"
#include "calls/handlers.h"
#include "calls/wait.h"
#include "process/exec.h"
#include "process/signal.h"

#define MASK_SIZE sizeof(u64)
#define SETS 3

/* The three sets, copied; a NULL one stays NULL. */
struct selected {
    struct big memory;
    gva_t from[SETS];
    u64 *set[SETS];
    u64 bytes; /* of each */
    int count;
};

static long select_begin(struct thread *thread, const u64 *arg, struct selected *selected) {
    int count = (int)arg[0];
    if (count < 0)
        return -EINVAL;
    /* As the kernel clamps to its table: numbers above are not looked at. */
    if (count > (int)own_fd_base())
        count = (int)own_fd_base();
    selected->count = count;
    selected->bytes = ((u64)count + 63) / 64 * 8;
    if (!big_take(thread, SETS * selected->bytes, &selected->memory))
        return -ENOMEM;
    for (int i = 0; i < SETS; i++) {
        selected->from[i] = arg[1 + i];
        selected->set[i] =
            arg[1 + i] ? (u64 *)((u8 *)selected->memory.data + (u64)i * selected->bytes) : NULL;
        if (arg[1 + i] && copy_from_guest(selected->set[i], arg[1 + i], selected->bytes)) {
            big_release(&selected->memory);
            return -EFAULT;
        }
    }
    return 0;
}

static long select_end(struct selected *selected, long result) {
    for (int i = 0; result >= 0 && i < SETS; i++)
        if (selected->set[i] && copy_to_guest(selected->from[i], selected->set[i], selected->bytes))
            result = -EFAULT;
    big_release(&selected->memory);
    return result;
}

/* Both calls with their sets and time copied. `left` is updated by the host; NULL: for ever. */
static long select_wait(struct call *call, struct __kernel_timespec *left, const u64 *mask) {
    struct selected selected;
    long failed = select_begin(call->thread, call->arg, &selected);
    if (failed)
        return failed;
    u64 host_mask = mask ? signal_host_mask(*mask) : 0;
    const u64 mask_and_size[2] = {mask ? (u64)&host_mask : 0, MASK_SIZE};
    const u64 arg[6] = {
        (u64)selected.count, (u64)selected.set[0], (u64)selected.set[1], (u64)selected.set[2],
        (u64)left,           (u64)mask_and_size};
    return select_end(&selected, wait_call_masked(call->thread, mask, __NR_pselect6, arg));
}

long sys_select(struct call *call) {
    struct __kernel_old_timeval time;
    struct __kernel_timespec left;
    if (!call->arg[4])
        return restart_nohand(select_wait(call, NULL, NULL));
    if (get_guest(time, call->arg[4]))
        return -EFAULT;
    if (time.tv_sec < 0 || time.tv_usec < 0)
        return -EINVAL;
    if (__builtin_add_overflow(time.tv_sec, time.tv_usec / 1000000, &left.tv_sec))
        left.tv_sec = INT64_MAX;
    left.tv_nsec = time.tv_usec % 1000000 * 1000;
    bool timed = left.tv_sec || left.tv_nsec;
    long result = select_wait(call, &left, NULL);
    time = (struct __kernel_old_timeval){left.tv_sec, left.tv_nsec / 1000};
    /* A time that cannot be written is no error, but the call cannot be made again then. */
    if (timed && put_guest(time, call->arg[4]))
        return result;
    return restart_nohand(result);
}

long sys_pselect6(struct call *call) {
    struct __kernel_timespec left;
    u64 pointer_and_size[2] = {0, 0}, space;
    const u64 *mask;
    if (call->arg[5] && get_guest(pointer_and_size, call->arg[5]))
        return -EFAULT;
    if (call->arg[4]) {
        if (get_guest(left, call->arg[4]))
            return -EFAULT;
        if (!timespec_valid(&left))
            return -EINVAL;
    }
    long failed = mask_argument(pointer_and_size[0], pointer_and_size[1], &space, &mask);
    if (failed)
        return failed;
    if (!call->arg[4])
        return restart_nohand(select_wait(call, NULL, mask));
    bool timed = left.tv_sec || left.tv_nsec;
    long result = select_wait(call, &left, mask);
    if (timed && put_guest(left, call->arg[4]))
        return result;
    return restart_nohand(result);
}
