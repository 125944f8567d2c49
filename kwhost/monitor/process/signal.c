#include "process/signal.h"

#include <asm/siginfo.h>

#include "base/host.h"
#include "base/report.h"
#include "base/text.h"
#include "process/signal_host.h"

#define MASK_SIZE sizeof(u64)
/* While held nothing is let through but the faults of fault-safe copies: not even a kick, which
 * would find a new thread without its thread_current, or a new program without handlers. */
#define HELD (~(signal_bit(SIGSEGV) | signal_bit(SIGBUS)))

static void host_set_mask(u64 mask) {
    host(__NR_rt_sigprocmask, SIG_SETMASK, &mask, 0, MASK_SIZE);
}

void signal_start(struct thread *thread) {
    struct process *process = thread->process;
    lock_take(&process->actions_lock);
    for (int signal = 1; signal < SIGNAL_LIMIT; signal++) {
        struct guest_action *action = &process->actions[signal];
        memset(action, 0, sizeof *action);
        if (signal == SIGKILL || signal == SIGSTOP)
            continue;
        if (host_action_ignored(signal))
            action->handler = HANDLER_IGNORE;
        host_action_follow(signal, action);
    }
    lock_release(&process->actions_lock);
    signal_set_mask(thread, thread->guest_mask);
}

bool signal_hold(struct thread *thread) {
    host_set_mask(HELD);
    thread->held = true;
    return thread->signal_pending == 0;
}

void signal_release(struct thread *thread) {
    /* Nothing can be caught between the test and the call: all is blocked. */
    bool caught = thread->signal_pending & SIGNAL_CAUGHT;
    thread->held = caught;
    host_set_mask(signal_host_mask(caught ? ~0ul : thread->guest_mask));
}

void signal_set_mask(struct thread *thread, u64 mask) {
    if (!thread->held)
        signal_hold(thread);
    thread->guest_mask = mask & ~SIGNALS_UNBLOCKABLE;
    signal_update_kept(thread);
    signal_release(thread);
}

bool signal_exec_hold(struct thread *thread) {
    if (!signal_hold(thread))
        return false;
    struct process *process = thread->process;
    for (int signal = 1; signal < SIGNAL_LIMIT; signal++)
        if ((signal_bit(signal) & SIGNALS_UNBLOCKED) &&
            process->actions[signal].handler == HANDLER_IGNORE)
            host_action_plain(signal, HANDLER_IGNORE);
    return true;
}

void signal_exec_failed(struct thread *thread) {
    struct process *process = thread->process;
    lock_take(&process->actions_lock);
    for (int signal = 1; signal < SIGNAL_LIMIT; signal++)
        if (signal_bit(signal) & SIGNALS_UNBLOCKED)
            host_action_follow(signal, &process->actions[signal]);
    lock_release(&process->actions_lock);
    signal_release(thread);
}

static void give_back(struct thread *thread) {
    __atomic_fetch_and(&thread->signal_pending, ~SIGNAL_CAUGHT, __ATOMIC_RELAXED);
    host_send(thread, &thread->caught, true);
}

/* A timer's signal may be meant for either; waiting for its thread does no harm. */
bool signal_is_threads(const siginfo_t *info) {
    return info->si_code == SI_TKILL || info->si_code == SI_TIMER;
}

void signal_park(struct thread *thread) {
    signal_hold(thread);
    if ((thread->signal_pending & SIGNAL_CAUGHT) && !signal_is_threads(&thread->caught))
        give_back(thread);
}

void signal_thread_ends(struct thread *thread) {
    signal_hold(thread);
    if ((thread->signal_pending & SIGNAL_CAUGHT) && thread->caught.si_code != SI_TKILL)
        give_back(thread);
}

void thread_kick(struct thread *thread) {
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_signo = SIGNAL_KICK;
    info.si_code = KICK_CODE;
    info.si_int = KICK_WORK;
    host(__NR_rt_tgsigqueueinfo, thread->process->pid, thread->kernel_tid, SIGNAL_KICK, &info);
}

_Noreturn void signal_raise_default(struct process *process, int signal) {
    if (process->is_first) {
        if (stats_page) {
            stats_page->exit_signal = (u32)signal;
            __atomic_store_n(&stats_page->exit_valid, 1, __ATOMIC_RELEASE);
        }
        host(__NR_exit_group, 128 + signal);
    }
    if (signal != SIGKILL && signal != SIGSTOP)
        host_action_plain(signal, HANDLER_DEFAULT);
    host_set_mask(~signal_bit(signal));
    host(__NR_tkill, host(__NR_gettid), signal);
    for (;;)
        host(__NR_exit_group, 128 + signal);
}

/* Which element of kept_info holds `signal`. */
static siginfo_t *kept_slot(struct thread *thread, int signal) {
    return &thread->kept_info[signal == SIGSEGV ? 0 : signal == SIGBUS ? 1 : 2];
}

void signal_keep(struct thread *thread, const siginfo_t *info) {
    u64 bit = signal_bit(info->si_signo);
    if (!(thread->kept & bit)) {
        *kept_slot(thread, info->si_signo) = *info;
        __atomic_fetch_or(&thread->kept, bit, __ATOMIC_RELEASE);
    }
    signal_update_kept(thread);
}

void signal_update_kept(struct thread *thread) {
    if (__atomic_load_n(&thread->kept, __ATOMIC_ACQUIRE) & ~thread->guest_mask) {
        __atomic_fetch_or(&thread->signal_pending, SIGNAL_KEPT, __ATOMIC_RELEASE);
        return;
    }
    __atomic_fetch_and(&thread->signal_pending, ~SIGNAL_KEPT, __ATOMIC_RELEASE);
    /* One may have come between the load and the store. */
    if (__atomic_load_n(&thread->kept, __ATOMIC_ACQUIRE) & ~thread->guest_mask)
        __atomic_fetch_or(&thread->signal_pending, SIGNAL_KEPT, __ATOMIC_RELEASE);
}

bool signal_take_kept(struct thread *thread, u64 set, siginfo_t *info) {
    u64 found = __atomic_load_n(&thread->kept, __ATOMIC_ACQUIRE) & set;
    if (!found)
        return false;
    int signal = __builtin_ctzl(found) + 1;
    *info = *kept_slot(thread, signal);
    __atomic_fetch_and(&thread->kept, ~signal_bit(signal), __ATOMIC_RELEASE);
    signal_update_kept(thread);
    return true;
}

u64 signal_kept_leave(struct thread *thread) {
    return __atomic_exchange_n(&thread->kept, 0, __ATOMIC_ACQ_REL);
}

void signal_kept_return(struct thread *thread, u64 kept) {
    __atomic_fetch_or(&thread->kept, kept, __ATOMIC_RELEASE);
    signal_update_kept(thread);
}

/* As Linux's on_sig_stack: a stack to be disarmed is never "in use". */
static bool on_altstack(const struct thread *thread, gva_t sp) {
    return !(thread->altstack_flags & SS_AUTODISARM) && sp > thread->altstack_base &&
           sp - thread->altstack_base <= thread->altstack_size;
}

u32 altstack_state(const struct thread *thread, gva_t sp) {
    if (!thread->altstack_size)
        return SS_DISABLE;
    return on_altstack(thread, sp) ? SS_ONSTACK : 0;
}

long altstack_set(struct thread *thread, gva_t sp, gva_t base, u64 size, u32 flags) {
    u32 mode = flags & ~SS_AUTODISARM;
    if (on_altstack(thread, sp))
        return -EPERM;
    if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0)
        return -EINVAL;
    if (mode == SS_DISABLE) {
        base = 0;
        size = 0;
    } else if (size < MINSIGSTKSZ) {
        return -ENOMEM;
    }
    thread->altstack_base = base;
    thread->altstack_size = size;
    thread->altstack_flags = flags;
    return 0;
}
