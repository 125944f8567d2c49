/* Signals: host signals become guest signal frames (signal(7), Linux arch/x86 sigframe layout).
 *
 * The host kernel keeps what it can keep: pending sets, queues, masks, process groups, job control,
 * signalfd and sigtimedwait are its own, because each guest thread is a host thread whose mask is
 * the guest's. A caught signal is taken one at a time: the handler stores it and blocks all others
 * until signal_deliver has made the frame.
 *
 * SIGNALS_UNBLOCKED are never blocked on the host: a kick must always arrive, and a fault-safe copy
 * must survive its fault. Such a signal that a program sends while the receiver blocks it is kept
 * in struct thread. The other synchronous signals need no exception: guest faults are no host
 * signals. */
#ifndef KW_PROCESS_SIGNAL_H
#define KW_PROCESS_SIGNAL_H

#include <linux/signal.h>

#include "process/thread.h"

#define SIGNALS_UNBLOCKED (signal_bit(SIGSEGV) | signal_bit(SIGBUS) | signal_bit(SIGNAL_KICK))
#define SIGNALS_UNBLOCKABLE (signal_bit(SIGKILL) | signal_bit(SIGSTOP)) /* for the guest */
#define HANDLER_DEFAULT 0ul
#define HANDLER_IGNORE 1ul

/* thread->signal_pending */
#define SIGNAL_CAUGHT 1u /* `caught` is filled; the host blocks everything it may */
#define SIGNAL_KEPT 2u   /* a kept signal is not blocked by the guest */
#define SIGNAL_FAULT                                                                               \
    4u /* `fault` is filled: the signal of an exception, delivered before others                   \
        */

/* si_value of a kick (si_code KICK_CODE). */
#define KICK_WORK 0 /* look at thread->work */
#define KICK_KILL 1 /* another guest process sent SIGKILL: end in an orderly way */
#define KICK_ANSWER                                                                                \
    2 /* another process's monitor asks (procfs/ask.h); its tid in the upper 32 bits */

/* The host mask for a guest mask. */
static inline u64 signal_host_mask(u64 guest_mask) {
    return guest_mask & ~SIGNALS_UNBLOCKED;
}

/* Installs the monitor's handlers for this process: fault fix-ups, the kick, and a handler for each
 * signal whose default would end the process (so that the end is an orderly one, and pid 1 has
 * default actions too). Dispositions inherited as ignored stay ignored. Then loads
 * thread->guest_mask on the host. Once per monitor start. */
void signal_start(struct thread *thread);

/* Before entering the guest: turns a caught signal into a frame, an end of the process, or nothing,
 * and settles whether an interrupted call is made again. `result` is what the call returned (a
 * restart code perhaps) when thread->in_call. Sets RAX. Clear run->immediate_exit before calling.
 */
void signal_deliver(struct thread *thread, long result);

/* Sends the thread the synchronous signal of a guest exception. */
void signal_fault(struct thread *thread, int signal, int code, gva_t address, u32 trap, u64 error);

/* SIGSEGV for what only the kernel can object to: a frame that cannot be read or written. */
void signal_bad_frame(struct thread *thread);

/* SIGSEGV for going on at an address that is no user's, which the vCPU must not see. */
void signal_bad_rip(struct thread *thread, gva_t rip);

/* Sets the mask that the guest sees and the host's with it. */
void signal_set_mask(struct thread *thread, u64 mask);

/* Blocks all signals on the host for a while (fork, clone, exec, a change of the mask). False when
 * one was caught before: the caller does nothing and returns -ERESTARTNOINTR, so that it is
 * delivered first. Otherwise signal_release (or signal_set_mask) ends the hold. A forked child or a
 * new thread made while holding starts with everything blocked: it sets its guest_mask and
 * releases. */
bool signal_hold(struct thread *thread);
void signal_release(struct thread *thread);

/* For execve, instead of signal_hold: also hands to the next monitor which of SIGNALS_UNBLOCKED are
 * ignored, and lets a kick wait until that one has its handlers. When execve failed call
 * signal_exec_failed. */
bool signal_exec_hold(struct thread *thread);
void signal_exec_failed(struct thread *thread);

/* For a thread that ends: blocks all and gives a caught signal that was meant for the process back.
 */
void signal_thread_ends(struct thread *thread);

/* Around the time a thread is parked: blocks all and gives a caught signal of the process back, so
 * that the thread that runs on, or the program it executes, gets it. */
void signal_park(struct thread *thread);

/* Interrupts a thread: it leaves the guest or its blocking call and finds thread->work. */
void thread_kick(struct thread *thread);

/* Ends the process as the default action of `signal` does: for process_die, after all clean-up. The
 * instance's first process, which the kernel spares, exits with 128 + signal and tells the
 * statistics page. */
_Noreturn void signal_raise_default(struct process *process, int signal);

/* True for a caught signal that may have been sent to one thread alone. */
bool signal_is_threads(const siginfo_t *info);

/* Marks `info` as sent to this thread: SIGNALS_UNBLOCKED only, from the host handler or the guest's
 * own sigqueue. A second one of the same number is merged with the first, as standard signals are.
 */
void signal_keep(struct thread *thread, const siginfo_t *info);

/* Sets SIGNAL_KEPT according to `kept` and guest_mask, after either changed. */
void signal_update_kept(struct thread *thread);

/* Takes a kept signal out of `set`. False when there is none. */
bool signal_take_kept(struct thread *thread, u64 set, siginfo_t *info);

/* Around the host's fork: a child does not inherit pending signals, but may have got its own before
 * it runs the first line. signal_kept_leave takes the kept ones away, the parent puts them back. */
u64 signal_kept_leave(struct thread *thread);
void signal_kept_return(struct thread *thread, u64 kept);

/* The alternate stack. sigaltstack_flags: what sigaltstack(2) reports for a stack pointer. */
u32 altstack_state(const struct thread *thread, gva_t sp);
long altstack_set(struct thread *thread, gva_t sp, gva_t base, u64 size, u32 flags);

#endif
