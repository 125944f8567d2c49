/* Waiting for signals: pause, sigsuspend, sigtimedwait, signalfd. */
#include <linux/signal.h>

#include "base/text.h"
#include "calls/handlers.h"
#include "calls/translate.h"
#include "calls/wait.h"
#include "process/signal.h"

#define MASK_SIZE sizeof(u64)

long sys_pause(struct call *call) {
    static const u64 none[6];
    return restart_nohand(wait_call(call->thread, __NR_pause, none));
}

long sys_rt_sigsuspend(struct call *call) {
    u64 mask;
    if (call->arg[1] != MASK_SIZE)
        return -EINVAL;
    if (get_guest(mask, call->arg[0]))
        return -EFAULT;
    u64 host_mask = signal_host_mask(mask);
    const u64 arg[6] = {(u64)&host_mask, MASK_SIZE};
    return restart_nohand(wait_call_masked(call->thread, &mask, __NR_rt_sigsuspend, arg));
}

/* Waits on the host for one of `set`, and here for those of it that the host never blocks. */
static long wait_for(struct thread *thread, u64 set, u64 timeout, siginfo_t *info) {
    if (signal_take_kept(thread, set & thread->guest_mask, info))
        return info->si_signo;
    u64 host_set = signal_host_mask(set), before = thread->guest_mask;
    struct __kernel_timespec left;
    if (timeout != NO_DEADLINE)
        left = timeout ? deadline_left(deadline_start(thread, timeout)) : ns_timespec(0);
    const u64 arg[6] = {(u64)&host_set, (u64)info, timeout == NO_DEADLINE ? 0 : (u64)&left,
                        MASK_SIZE};
    /* So that a kept one interrupts even though the guest blocks it. */
    thread->guest_mask &= ~(set & SIGNALS_UNBLOCKED);
    signal_update_kept(thread);
    long result = wait_call(thread, __NR_rt_sigtimedwait, arg);
    thread->guest_mask = before;
    signal_update_kept(thread);
    if ((result == -EINTR || result == -ERESTARTNOINTR || result == -EAGAIN) &&
        signal_take_kept(thread, set & before, info))
        return info->si_signo;
    return result;
}

long sys_rt_sigtimedwait(struct call *call) {
    struct thread *thread = call->thread;
    struct __kernel_timespec time;
    siginfo_t info;
    u64 set, timeout = NO_DEADLINE;

    if (call->arg[3] != MASK_SIZE)
        return -EINVAL;
    if (get_guest(set, call->arg[0]))
        return -EFAULT;
    if (call->arg[2]) {
        if (get_guest(time, call->arg[2]))
            return -EFAULT;
        if (!timespec_valid(&time))
            return -EINVAL;
        timeout = timespec_ns(&time);
    }
    memset(&info, 0, sizeof info);
    long result = wait_for(thread, set & ~SIGNALS_UNBLOCKABLE, timeout, &info);
    if (result > 0 && call->arg[1] && put_guest(info, call->arg[1]))
        return -EFAULT;
    return result;
}

/* A signalfd never takes what the monitor must see itself; a program that reads SIGSEGV or SIGBUS
 * sent to it from a signalfd does not get them. */
static long signalfd(u64 fd, gva_t mask_address, u64 size, u64 flags) {
    u64 mask;
    if (size != MASK_SIZE)
        return -EINVAL;
    if (get_guest(mask, mask_address))
        return -EFAULT;
    if (!guest_fd_ok(fd))
        return -EBADF;
    mask = signal_host_mask(mask);
    return host(__NR_signalfd4, (s32)fd, &mask, MASK_SIZE, (s32)flags);
}

long sys_signalfd(struct call *call) {
    return signalfd(call->arg[0], call->arg[1], call->arg[2], 0);
}

long sys_signalfd4(struct call *call) {
    return signalfd(call->arg[0], call->arg[1], call->arg[2], call->arg[3]);
}
