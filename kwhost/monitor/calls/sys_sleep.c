/* nanosleep and clock_nanosleep. A relative sleep becomes one until a point in time, so that
 * signals without handlers and the monitor's kicks do not stretch it. */
#include <linux/time.h>

#include "calls/handlers.h"
#include "calls/wait.h"
#include "process/thread.h"

/* A sleep until `deadline` on `clock`; writes what is left to `rest` when a signal interrupts it.
 */
static long sleep_until(struct thread *thread, int clock, u64 deadline, gva_t rest) {
    struct __kernel_timespec until = ns_timespec(deadline);
    const u64 arg[6] = {(u64)clock, TIMER_ABSTIME, (u64)&until};
    long result = wait_call(thread, __NR_clock_nanosleep, arg);
    if (result != -EINTR)
        return result;
    s64 left = (s64)deadline - clock_ns(clock);
    if (left <= 0)
        return 0;
    struct __kernel_timespec time = ns_timespec((u64)left);
    if (rest && put_guest(time, rest))
        return -EFAULT;
    return -ERESTARTBLOCK;
}

static long sleep_relative(struct thread *thread, int clock, const struct __kernel_timespec *time,
                           gva_t rest) {
    /* Setting the clock does not move the end of a relative sleep. */
    if (clock == CLOCK_REALTIME || clock == CLOCK_TAI)
        clock = CLOCK_MONOTONIC;
    if (!thread->deadline) {
        s64 now = clock_ns(clock);
        if (now < 0)
            return now;
        u64 ns = timespec_ns(time);
        thread->deadline = ns > (u64)(INT64_MAX - now) ? (u64)INT64_MAX : (u64)now + ns;
    }
    return sleep_until(thread, clock, thread->deadline, rest);
}

long sys_nanosleep(struct call *call) {
    struct __kernel_timespec time;
    if (get_guest(time, call->arg[0]))
        return -EFAULT;
    if (!timespec_valid(&time))
        return -EINVAL;
    return sleep_relative(call->thread, CLOCK_MONOTONIC, &time, call->arg[1]);
}

long sys_clock_nanosleep(struct call *call) {
    struct __kernel_timespec time, now;
    int clock = (int)call->arg[0], flags = (int)call->arg[1];
    long failed =
        host(__NR_clock_gettime, clock, &now); /* EINVAL for a clock that does not exist */
    if (failed)
        return failed;
    if (get_guest(time, call->arg[2]))
        return -EFAULT;
    if (!timespec_valid(&time))
        return -EINVAL;
    if (!(flags & TIMER_ABSTIME))
        return sleep_relative(call->thread, clock, &time, call->arg[3]);
    const u64 arg[6] = {(u64)clock, TIMER_ABSTIME, (u64)&time};
    return restart_nohand(wait_call(call->thread, __NR_clock_nanosleep, arg));
}
