#include "process/signal_host.h"

#include <linux/signal.h>
#include <asm/sigcontext.h>
#include <asm/ucontext.h>

#include "base/host.h"
#include "base/report.h"
#include "base/text.h"
#include "calls/interruptible.h"
#include "mm/window.h"
#include "process/signal.h"

extern void host_signal_return(void);

enum signal_default signal_default_action(int signal) {
    switch (signal) {
    case SIGCHLD:
    case SIGCONT:
    case SIGURG:
    case SIGWINCH:
        return DEFAULT_IGNORE;
    case SIGSTOP:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
        return DEFAULT_STOP;
    default:
        return DEFAULT_END;
    }
}

/* Makes a thread look at signal_pending and work before it enters the guest or blocks on the host.
 */
static void interrupt(struct thread *thread, struct sigcontext *context) {
    /* A child that was just forked has not got its own vCPU yet, nor its parent's pages. */
    if (!thread->held && thread->vcpu && thread->vcpu->run)
        thread->vcpu->run->immediate_exit = 1;
    if (context->rip >= (u64)interruptible_begin && context->rip < (u64)interruptible_end)
        context->rip = (u64)interruptible_abort;
}

/* A fault of the monitor itself outside the fault-safe copies. Says so and ends the process. */
static void monitor_fault(struct thread *thread, const siginfo_t *info,
                          const struct sigcontext *context) {
    char line[KW_ERROR_MAX];
    int length =
        format(line, sizeof line, "the monitor itself faulted: signal %d at %lx, address %lx\n",
               info->si_signo, (unsigned long)context->rip, (unsigned long)info->si_addr);
    host(__NR_write, 2, line, length);
    if (stats_page) {
        memcpy(stats_page->failure, line, (u64)length);
        stats_page->failure[length - 1] = 0;
        stats_page->failure_status = 125;
    }
    if (thread->process->is_first)
        host(__NR_exit_group, 125);
    /* The instruction faults again on return and the kernel ends the process. */
    host_action_plain(info->si_signo, HANDLER_DEFAULT);
}

/* Kicks carry a cookie, unless the user's queue (RLIMIT_SIGPENDING) was full and the kernel dropped
 * it: then it tells of no sender at all, which programs of the instance cannot bring about. */
static bool is_kick(int signal, const siginfo_t *info) {
    return signal == SIGNAL_KICK &&
           (info->si_code == KICK_CODE || (info->si_code == SI_USER && !info->si_pid));
}

static void on_kick(struct thread *thread, const siginfo_t *info, struct sigcontext *context) {
    /* The kernel would not let the instance's own processes kill its pid 1 either. */
    if (info->si_code == KICK_CODE && info->si_int == KICK_KILL) {
        if (thread->process->is_first)
            return;
        __atomic_fetch_or(&thread->work, THREAD_KILL, __ATOMIC_RELAXED);
    }
    if (info->si_int == KICK_ANSWER) {
        u32 asker = (u32)((u64)info->si_ptr >> 32);
        __atomic_store_n(&thread->asker, asker, __ATOMIC_RELAXED);
        __atomic_fetch_or(&thread->work, THREAD_ANSWER, __ATOMIC_RELAXED);
    }
    interrupt(thread, context);
}

/* The handler of every caught signal. Runs with all signals blocked, on the monitor's stack,
 * anywhere in the monitor: it may touch nothing but its own thread's fields. */
static void on_signal(int signal, siginfo_t *info, void *raw_context) {
    struct ucontext *user = raw_context;
    struct sigcontext *context = &user->uc_mcontext;
    struct thread *thread = thread_current();
    if (is_kick(signal, info)) {
        on_kick(thread, info, context);
        return;
    }
    if ((signal == SIGSEGV || signal == SIGBUS) && info->si_code > 0) {
        u64 continued = window_fixup(context->rip);
        if (continued)
            context->rip = continued;
        else
            monitor_fault(thread, info, context);
        return;
    }
    if (signal_bit(signal) & SIGNALS_UNBLOCKED) {
        signal_keep(thread, info);
        if (thread->signal_pending & SIGNAL_KEPT)
            interrupt(thread, context);
        return;
    }
    thread->caught = *info;
    __atomic_fetch_or(&thread->signal_pending, SIGNAL_CAUGHT, __ATOMIC_RELEASE);
    /* One at a time: the next one waits on the host until this one has its frame. */
    u64 blocked = signal_host_mask(~0ul);
    memcpy(&user->uc_sigmask, &blocked, sizeof blocked);
    interrupt(thread, context);
    thread->held = true;
}

void host_action_follow(int signal, const struct guest_action *action) {
    struct guest_action ours = {
        .handler = (u64)on_signal,
        .flags = SA_SIGINFO | SA_RESTORER | (action->flags & (SA_NOCLDSTOP | SA_NOCLDWAIT)),
        .restorer = (u64)host_signal_return,
        .mask = ~0ul,
    };
    if (!(signal_bit(signal) & SIGNALS_UNBLOCKED)) {
        if (action->handler == HANDLER_IGNORE)
            ours.handler = HANDLER_IGNORE;
        else if (action->handler == HANDLER_DEFAULT && signal_default_action(signal) != DEFAULT_END)
            ours.handler = HANDLER_DEFAULT;
    }
    host(__NR_rt_sigaction, signal, &ours, 0, sizeof ours.mask);
}

bool host_action_ignored(int signal) {
    struct guest_action now = {0};
    host(__NR_rt_sigaction, signal, 0, &now, sizeof now.mask);
    return now.handler == HANDLER_IGNORE;
}

void host_action_plain(int signal, u64 handler) {
    struct guest_action plain = {.handler = handler};
    host(__NR_rt_sigaction, signal, &plain, 0, sizeof plain.mask);
}

/* The thread's own number names its process too; the kernel lets only it send any si_code to
 * itself. */
void host_send(const struct thread *thread, const siginfo_t *info, bool to_process) {
    if (to_process)
        host(__NR_rt_sigqueueinfo, thread->kernel_tid, info->si_signo, info);
    else
        host(__NR_rt_tgsigqueueinfo, thread->process->pid, thread->kernel_tid, info->si_signo,
             info);
}
