/* Waiting: calls with temporary signal masks, and timeouts that survive being made again. */
#ifndef KW_CALLS_WAIT_H
#define KW_CALLS_WAIT_H

#include <linux/time_types.h>

#include "base/types.h"

struct thread;

/* Makes a blocking host call for which any interruption is EINTR in the end. Results: the host's;
 * -EINTR when a signal for the guest interrupted it (or the host says so for its own reasons, such
 * as SIGCONT); -ERESTARTNOINTR when it shall be made again after what is pending was seen to. */
long wait_call(struct thread *thread, long nr, const u64 arg[6]);

/* As wait_call, while the guest's mask is *mask (NULL: unchanged). The caller puts
 * signal_host_mask(*mask) into the host call's own mask argument, so that host and guest change
 * together. On -EINTR the temporary mask stays for signal_deliver, which restores the other behind
 * the handler's frame. */
long wait_call_masked(struct thread *thread, const u64 *mask, long nr, const u64 arg[6]);

/* The guest's optional sigset argument. Sets *mask to `space` with the set, or to NULL when the
 * pointer is NULL. Returns 0, -EINVAL for a wrong size or -EFAULT. */
long mask_argument(u64 address, u64 size, u64 *space, const u64 **mask);

#define NANOSECONDS 1000000000ll
#define NO_DEADLINE (~0ul)

static inline bool timespec_valid(const struct __kernel_timespec *time) {
    return time->tv_sec >= 0 && (u64)time->tv_nsec < NANOSECONDS;
}

/* Nanoseconds of a valid time; what does not fit is "for ever" (292 years), as in the kernel. */
static inline u64 timespec_ns(const struct __kernel_timespec *time) {
    if (time->tv_sec >= (s64)(INT64_MAX / NANOSECONDS))
        return INT64_MAX;
    return (u64)(time->tv_sec * NANOSECONDS + time->tv_nsec);
}

static inline struct __kernel_timespec ns_timespec(u64 ns) {
    return (struct __kernel_timespec){(s64)(ns / NANOSECONDS), (s64)(ns % NANOSECONDS)};
}

/* The clock's present time in nanoseconds, or a negative errno. */
s64 clock_ns(int clock);

/* When a timeout of `ns` from now ends: at the first time kept in thread->deadline, so that a call
 * made again goes on waiting for what is left. On CLOCK_MONOTONIC. */
u64 deadline_start(struct thread *thread, u64 ns);

/* What is left until then. */
struct __kernel_timespec deadline_left(u64 deadline);

/* Memory for a copied array of a size that the guest chose: scratch, or host memory of its own when
 * it is too large for that. NULL: ENOMEM. Release with big_release in the same call. */
struct big {
    void *data;
    u64 mapped;
};
bool big_take(struct thread *thread, u64 size, struct big *big);
void big_release(struct big *big);

#endif
