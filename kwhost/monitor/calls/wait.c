#include "calls/wait.h"

#include <linux/mman.h>
#include <linux/time.h>

#include "calls/call.h"
#include "calls/interruptible.h"
#include "process/signal.h"

long wait_call(struct thread *thread, long nr, const u64 arg[6]) {
    long result = interruptible_call(&thread->signal_pending, &thread->work, nr, arg);
    if (result == -EINTR && !thread->signal_pending && thread->work)
        return -ERESTARTNOINTR; /* only a kick */
    return result;
}

long wait_call_masked(struct thread *thread, const u64 *mask, long nr, const u64 arg[6]) {
    if (!mask)
        return wait_call(thread, nr, arg);
    u64 before = thread->guest_mask;
    /* The handler judges by guest_mask which kept signals may interrupt. */
    thread->guest_mask = *mask & ~SIGNALS_UNBLOCKABLE;
    signal_update_kept(thread);
    long result = wait_call(thread, nr, arg);
    bool kept = thread->signal_pending & SIGNAL_KEPT;
    if (kept && result == -ERESTARTNOINTR)
        result = -EINTR; /* let through by the temporary mask, perhaps by it alone */
    bool caught = thread->signal_pending & SIGNAL_CAUGHT;
    if (caught && (thread->guest_mask & signal_bit(thread->caught.si_signo))) {
        /* Caught just before, under the other mask: it comes first, then the call is made. */
        result = result == -EINTR ? -ERESTARTNOINTR : result;
    } else if (result == -EINTR && (caught || kept)) {
        thread->saved_mask = before;
        thread->has_saved_mask = true;
        return result;
    }
    thread->guest_mask = before;
    signal_update_kept(thread);
    return result;
}

long mask_argument(u64 address, u64 size, u64 *space, const u64 **mask) {
    *mask = NULL;
    if (!address)
        return 0;
    if (size != sizeof *space)
        return -EINVAL;
    if (get_guest(*space, address))
        return -EFAULT;
    *mask = space;
    return 0;
}

s64 clock_ns(int clock) {
    struct __kernel_timespec now;
    long failed = host(__NR_clock_gettime, clock, &now);
    return failed ? failed : now.tv_sec * NANOSECONDS + now.tv_nsec;
}

u64 deadline_start(struct thread *thread, u64 ns) {
    if (!thread->deadline) {
        u64 now = (u64)clock_ns(CLOCK_MONOTONIC);
        thread->deadline = ns > (u64)INT64_MAX - now ? (u64)INT64_MAX : now + ns;
    }
    return thread->deadline;
}

struct __kernel_timespec deadline_left(u64 deadline) {
    u64 now = (u64)clock_ns(CLOCK_MONOTONIC);
    return ns_timespec(deadline > now ? deadline - now : 0);
}

bool big_take(struct thread *thread, u64 size, struct big *big) {
    *big = (struct big){0};
    if (size <= SCRATCH_SIZE - thread->scratch_used - 16) {
        big->data = scratch_take(thread, size);
        return big->data != NULL;
    }
    long at = host(__NR_mmap, 0, page_up(size), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                   -1, 0);
    if (host_failed(at))
        return false;
    *big = (struct big){(void *)at, page_up(size)};
    return true;
}

void big_release(struct big *big) {
    if (big->mapped)
        host(__NR_munmap, big->data, big->mapped);
}
