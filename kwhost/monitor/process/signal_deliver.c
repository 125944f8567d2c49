/* From a caught signal to what happens in the program. */
#include <linux/signal.h>

#include "base/text.h"
#include "calls/call.h"
#include "process/crash.h"
#include "process/frame.h"
#include "process/signal.h"
#include "process/signal_host.h"

#define USER_LIMIT (1ul << 47)
#define KERNEL_HALF 0xffff800000000000ul
#define TRAP_PROTECTION 13
#define TRAP_PAGE_FAULT 14
#define FETCH_FROM_KERNEL 0x15 /* page fault error code: a user's fetch, present */
#define SYSCALL_LENGTH 2

/* How an interrupted call ends: decided once, by the first handler that runs or when none does. */
struct unsettled {
    bool call;
    long result;
};

/* The call is made again: the registers stand before its SYSCALL instruction. */
static void call_again(struct thread *thread) {
    struct kvm_regs *regs = vcpu_regs(thread->vcpu);
    regs->rax = thread->call_nr;
    regs->rip -= SYSCALL_LENGTH;
}

static void call_done(struct thread *thread, long result) {
    vcpu_regs(thread->vcpu)->rax = (u64)result;
    thread->deadline = 0;
}

static void settle_with_handler(struct thread *thread, struct unsettled *open, u64 action_flags) {
    if (!open->call)
        return;
    open->call = false;
    switch (-open->result) {
    case ERESTARTSYS:
        if (!(action_flags & SA_RESTART)) {
            call_done(thread, -EINTR);
            break;
        }
        /* fall through */
    case ERESTARTNOINTR:
        thread->deadline = 0; /* the handler's own calls may use it */
        call_again(thread);
        break;
    case ERESTARTNOHAND:
    case ERESTARTBLOCK:
        call_done(thread, -EINTR);
        break;
    default:
        call_done(thread, open->result);
    }
}

static void settle_without_handler(struct thread *thread, const struct unsettled *open) {
    switch (-open->result) {
    case ERESTARTSYS:
    case ERESTARTNOINTR:
    case ERESTARTNOHAND:
    case ERESTARTBLOCK:
        call_again(thread); /* and a relative timeout goes on: thread->deadline stays */
        break;
    default:
        call_done(thread, open->result);
    }
}

/* Makes `info` the next signal to be delivered, whatever the guest's mask and action say: where it
 * is blocked or ignored its default action ends the process (Linux's force_sig). */
static void force(struct thread *thread, const siginfo_t *info, bool fatal) {
    struct process *process = thread->process;
    u64 bit = signal_bit(info->si_signo);
    lock_take(&process->actions_lock);
    struct guest_action *action = &process->actions[info->si_signo];
    if (fatal || (thread->guest_mask & bit) || action->handler == HANDLER_IGNORE) {
        action->handler = HANDLER_DEFAULT;
        host_action_follow(info->si_signo, action);
    }
    lock_release(&process->actions_lock);
    if (thread->guest_mask & bit)
        signal_set_mask(thread, thread->guest_mask & ~bit);
    thread->fault = *info;
    __atomic_fetch_or(&thread->signal_pending, SIGNAL_FAULT, __ATOMIC_RELEASE);
}

void signal_fault(struct thread *thread, int signal, int code, gva_t address, u32 trap, u64 error) {
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_signo = signal;
    info.si_code = code;
    info.si_addr = (void *)address;
    thread->fault_trap = trap;
    thread->fault_error = error;
    if (trap == TRAP_PAGE_FAULT)
        thread->fault_address = address;
    force(thread, &info, false);
}

static void force_frame_fault(struct thread *thread, bool fatal) {
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_signo = SIGSEGV;
    info.si_code = SI_KERNEL;
    force(thread, &info, fatal);
}

void signal_bad_frame(struct thread *thread) {
    force_frame_fault(thread, false);
}

void signal_bad_rip(struct thread *thread, gva_t rip) {
    if (rip < KERNEL_HALF) /* not canonical: the processor cannot even try */
        signal_fault(thread, SIGSEGV, SI_KERNEL, 0, TRAP_PROTECTION, 0);
    else
        signal_fault(thread, SIGSEGV, SEGV_MAPERR, rip, TRAP_PAGE_FAULT, FETCH_FROM_KERNEL);
}

/* The action for a signal about to be delivered; one with SA_RESETHAND is used up. */
static struct guest_action take_action(struct process *process, int signal) {
    lock_take(&process->actions_lock);
    struct guest_action *action = &process->actions[signal], taken = *action;
    if (taken.handler > HANDLER_IGNORE && (taken.flags & SA_RESETHAND)) {
        action->handler = HANDLER_DEFAULT;
        host_action_follow(signal, action);
    }
    lock_release(&process->actions_lock);
    return taken;
}

static void run_handler(struct thread *thread, const siginfo_t *info,
                        const struct guest_action *action, struct unsettled *open) {
    int signal = info->si_signo;
    u64 restored = thread->has_saved_mask ? thread->saved_mask : thread->guest_mask;
    settle_with_handler(thread, open, action->flags);
    if (frame_push(thread, signal, action, info, restored)) {
        force_frame_fault(thread, signal == SIGSEGV); /* twice is the end */
        return;
    }
    thread->has_saved_mask = false;
    u64 mask = thread->guest_mask | action->mask;
    if (!(action->flags & SA_NODEFER))
        mask |= signal_bit(signal);
    signal_set_mask(thread, mask);
    if (action->handler >= USER_LIMIT)
        signal_bad_rip(thread, action->handler);
}

static void act(struct thread *thread, const siginfo_t *info, bool fault, struct unsettled *open) {
    int signal = info->si_signo;
    struct guest_action action = take_action(thread->process, signal);
    if (action.handler > HANDLER_IGNORE) {
        run_handler(thread, info, &action, open);
        return;
    }
    if (action.handler == HANDLER_DEFAULT) {
        switch (signal_default_action(signal)) {
        case DEFAULT_END:
            if (fault)
                crash_record(thread, info);
            process_die(thread, signal);
        case DEFAULT_STOP:
            /* Caught while it had a handler. The host's disposition is the default by now. */
            host_send(thread, info, true);
            break;
        case DEFAULT_IGNORE:
            break;
        }
    }
    signal_set_mask(thread, thread->guest_mask); /* the host may deliver the next one */
}

/* The next signal to act on: exceptions first, as in Linux, then the kept, then the caught one.
 * Returns false when there is none. */
static bool take_signal(struct thread *thread, siginfo_t *info, bool *fault) {
    *fault = thread->signal_pending & SIGNAL_FAULT;
    if (*fault) {
        __atomic_fetch_and(&thread->signal_pending, ~SIGNAL_FAULT, __ATOMIC_RELAXED);
        *info = thread->fault;
        return true;
    }
    if (thread->signal_pending & SIGNAL_KEPT) {
        if (signal_take_kept(thread, ~thread->guest_mask, info))
            return true;
        signal_update_kept(thread);
    }
    if (!(thread->signal_pending & SIGNAL_CAUGHT))
        return false;
    *info = thread->caught;
    __atomic_fetch_and(&thread->signal_pending, ~SIGNAL_CAUGHT, __ATOMIC_ACQ_REL);
    if (!(thread->guest_mask & signal_bit(info->si_signo)))
        return true;
    /* An exception's handler that runs first has blocked it: back to the host's queue. */
    host_send(thread, info, !signal_is_threads(info));
    signal_set_mask(thread, thread->guest_mask);
    return take_signal(thread, info, fault);
}

void signal_deliver(struct thread *thread, long result) {
    struct unsettled open = {thread->in_call && result != CALL_NO_RESULT, result};
    for (;;) {
        siginfo_t info;
        bool fault;
        if (take_signal(thread, &info, &fault)) {
            act(thread, &info, fault, &open);
            continue;
        }
        if (thread->has_saved_mask) {
            /* No handler ran: the temporary mask ends here, and may let something through. */
            thread->has_saved_mask = false;
            signal_set_mask(thread, thread->saved_mask);
            continue;
        }
        break;
    }
    if (open.call)
        settle_without_handler(thread, &open);
    thread->in_call = false;
}
