/* epoll_wait and its variants; the events are written by the host straight into the window. */
#include "calls/handlers.h"
#include "calls/translate.h"
#include "calls/wait.h"
#include "process/signal.h"

#define MASK_SIZE sizeof(u64)
#define EVENT_SIZE 12
#define EVENTS_MAX (INT32_MAX / EVENT_SIZE)

/* `timeout`: nanoseconds, NO_DEADLINE for ever. EINTR stays EINTR whatever the handler's flags. */
static long epoll_wait(struct call *call, u64 timeout, u64 mask_address, u64 mask_size) {
    struct thread *thread = call->thread;
    struct __kernel_timespec left = {0, 0};
    int count = (int)call->arg[2];
    u64 space, host_mask = 0;
    const u64 *mask;

    long failed = mask_argument(mask_address, mask_size, &space, &mask);
    if (failed)
        return failed;
    /* The host refuses other counts, in its own order of checks. */
    u64 size = count > 0 && count <= EVENTS_MAX ? (u64)count * EVENT_SIZE : 0;
    if (mask)
        host_mask = signal_host_mask(*mask);
    if (timeout && timeout != NO_DEADLINE)
        left = deadline_left(deadline_start(thread, timeout));
    /* The host finds -1 bad at the point where it looks at the descriptor. */
    s64 fd = guest_fd_ok(call->arg[0]) ? (s32)call->arg[0] : -1;
    const u64 arg[6] = {(u64)fd,
                        host_buffer(call->arg[1], size),
                        (u64)(s64)count,
                        timeout == NO_DEADLINE ? 0 : (u64)&left,
                        mask ? (u64)&host_mask : 0,
                        MASK_SIZE};
    return wait_call_masked(thread, mask, __NR_epoll_pwait2, arg);
}

static u64 milliseconds(u64 raw) {
    int timeout = (int)raw;
    return timeout < 0 ? NO_DEADLINE : (u64)timeout * 1000000;
}

long sys_epoll_wait(struct call *call) {
    return epoll_wait(call, milliseconds(call->arg[3]), 0, 0);
}

long sys_epoll_pwait(struct call *call) {
    return epoll_wait(call, milliseconds(call->arg[3]), call->arg[4], call->arg[5]);
}

long sys_epoll_pwait2(struct call *call) {
    struct __kernel_timespec time;
    if (!call->arg[3])
        return epoll_wait(call, NO_DEADLINE, call->arg[4], call->arg[5]);
    if (get_guest(time, call->arg[3]))
        return -EFAULT;
    if (!timespec_valid(&time))
        return -EINVAL;
    return epoll_wait(call, timespec_ns(&time), call->arg[4], call->arg[5]);
}
