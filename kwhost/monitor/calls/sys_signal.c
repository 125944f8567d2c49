/* Signal actions, masks, the alternate stack, pending signals. */
#include <linux/signal.h>

#include "base/text.h"
#include "calls/handlers.h"
#include "calls/wait.h"
#include "process/signal.h"
#include "procfs/table.h"
#include "process/signal_host.h"

#define MASK_SIZE sizeof(u64)
/* What Linux 6 knows; it clears the rest so that programs can probe. */
#define KNOWN_FLAGS                                                                                \
    (SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER |             \
     SA_RESETHAND | SA_EXPOSE_TAGBITS | SA_RESTORER)

static void forget_ignored(struct thread *thread, int signal, const struct guest_action *action) {
    siginfo_t info;
    bool ignored =
        action->handler == HANDLER_IGNORE ||
        (action->handler == HANDLER_DEFAULT && signal_default_action(signal) == DEFAULT_IGNORE);
    if (ignored)
        signal_take_kept(thread, signal_bit(signal), &info);
}

long sys_rt_sigaction(struct call *call) {
    struct thread *thread = call->thread;
    struct process *process = thread->process;
    int signal = (int)call->arg[0];
    gva_t new_address = call->arg[1], old_address = call->arg[2];
    struct guest_action action, old;

    if (call->arg[3] != MASK_SIZE)
        return -EINVAL;
    if (new_address && get_guest(action, new_address))
        return -EFAULT;
    if (signal < 1 || signal >= SIGNAL_LIMIT)
        return -EINVAL;
    if (new_address && (signal_bit(signal) & SIGNALS_UNBLOCKABLE))
        return -EINVAL;

    lock_take(&process->actions_lock);
    old = process->actions[signal];
    if (new_address) {
        action.flags &= KNOWN_FLAGS;
        action.mask &= ~SIGNALS_UNBLOCKABLE;
        process->actions[signal] = action;
        host_action_follow(signal, &action);
        table_publish_signals(process);
    }
    lock_release(&process->actions_lock);

    if (new_address)
        forget_ignored(thread, signal, &action);
    if (old_address && put_guest(old, old_address))
        return -EFAULT;
    return 0;
}

/* The mask after sigprocmask(how, set). Returns 0 or -EINVAL. */
static long changed_mask(u64 old, int how, u64 set, u64 *new) {
    switch (how) {
    case SIG_BLOCK:
        *new = old | set;
        break;
    case SIG_UNBLOCK:
        *new = old & ~set;
        break;
    case SIG_SETMASK:
        *new = set;
        break;
    default:
        return -EINVAL;
    }
    *new &= ~SIGNALS_UNBLOCKABLE;
    return 0;
}

long sys_rt_sigprocmask(struct call *call) {
    struct thread *thread = call->thread;
    u64 old = thread->guest_mask, set, new;

    if (call->arg[3] != MASK_SIZE)
        return -EINVAL;
    if (call->arg[1]) {
        if (get_guest(set, call->arg[1]))
            return -EFAULT;
        if (changed_mask(old, (int)call->arg[0], set, &new))
            return -EINVAL;
        if (new != old) {
            /* A signal caught before this call is delivered before it: never with it blocked. */
            if (!signal_hold(thread))
                return -ERESTARTNOINTR;
            signal_set_mask(thread, new);
        }
    }
    if (call->arg[2] && put_guest(old, call->arg[2]))
        return -EFAULT;
    return 0;
}

long sys_rt_sigpending(struct call *call) {
    struct thread *thread = call->thread;
    u64 pending = 0;
    if (call->arg[1] > MASK_SIZE)
        return -EINVAL;
    long failed = host(__NR_rt_sigpending, &pending, MASK_SIZE);
    if (failed)
        return failed;
    pending = (pending | thread->kept) & thread->guest_mask;
    return copy_to_guest(call->arg[0], &pending, call->arg[1]);
}

struct guest_stack {
    u64 base;
    s32 flags;
    u32 padding;
    u64 size;
};

long sys_sigaltstack(struct call *call) {
    struct thread *thread = call->thread;
    gva_t sp = vcpu_regs(thread->vcpu)->rsp;
    struct guest_stack new, old;
    memset(&old, 0, sizeof old);
    old.base = thread->altstack_base;
    old.flags = (s32)(altstack_state(thread, sp) | (thread->altstack_flags & SS_AUTODISARM));
    old.size = thread->altstack_size;

    if (call->arg[0]) {
        if (get_guest(new, call->arg[0]))
            return -EFAULT;
        long failed = altstack_set(thread, sp, new.base, new.size, (u32) new.flags);
        if (failed)
            return failed;
    }
    if (call->arg[1] && put_guest(old, call->arg[1]))
        return -EFAULT;
    return 0;
}

long sys_restart_syscall(struct call *call) {
    /* Interrupted calls are made again under their own number; this one has nothing to restart. */
    (void)call;
    return -EINTR;
}
