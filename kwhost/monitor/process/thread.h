/* A guest thread (one host thread with its own vCPU) and the Linux process it belongs to. */
#ifndef KW_PROCESS_THREAD_H
#define KW_PROCESS_THREAD_H

#include <asm/siginfo.h>
#include <linux/limits.h>
#include <linux/resource.h>

#include "base/lock.h"
#include "base/types.h"
#include "machine/vcpu.h"

#define SIGNAL_LIMIT 65 /* signal numbers are 1 to 64 */
#define signal_bit(signal) (1ul << ((signal)-1))
#define SIGNAL_KICK                                                                                \
    16 /* SIGSTKFLT, which Linux never sends: with KICK_CODE it is the monitor's own */
#define KICK_CODE (-0x4b57)

struct kw_policy_question;

/* What the guest asked for with rt_sigaction; the kernel's layout on x86-64. */
struct guest_action {
    u64 handler, flags, restorer, mask;
};

/* What Linux keeps per process. A vfork'd child has its own copy while it shares all memory, the
 * virtual machine included, with its parent. */
struct process {
    int pid;
    u32 account;              /* its own in base/accounts.h */
    struct lock threads_lock; /* guards threads, thread_count, parking */
    struct thread *threads;   /* linked by thread->next */
    u32 thread_count;
    u64 next_serial;
    u32 parking;              /* > 0: threads must park before making or while in host calls */
    u32 parked;               /* threads that did, or are away */
    u32 park_events;          /* counts changes of `parked` and ends of threads; futex */
    struct lock actions_lock; /* guards actions and the host dispositions that follow them */
    struct guest_action actions[SIGNAL_LIMIT];
    struct lock limits_lock;               /* guards rlimits against torn pairs */
    struct rlimit64 rlimits[RLIM_NLIMITS]; /* those kept by the monitor (limit_is_kept) */
    u32 is_first;                          /* pid 1 of the instance */
    u32 dumpable;                          /* what PR_GET_DUMPABLE tells the guest */
    u32 cwd_in_proc; /* the working directory lies in procfs: relative paths go to the procfs module
                      */
    bool clear_handlers;     /* CLONE_CLEAR_SIGHAND, to be carried out by the new process itself */
    u32 personality;         /* ADDR_NO_RANDOMIZE or 0: told back, without effect */
    u32 pdeath_signal;       /* what PR_GET_PDEATHSIG tells pid 1, whose real one stays SIGKILL */
    bool vforked;            /* shares memory with a parent that waits */
    int exiting_signal;      /* a fatal signal being carried out */
    char exe_path[PATH_MAX]; /* of the program, as the guest sees it; /proc/self/exe */
};

/* The name of a symbolic link, found on the way of a path (calls/judged_links.c). */
struct known_link {
    u8 length; /* 0: none */
    char name[127];
};
#define KNOWN_LINKS 8

/* A thread's state. Lives in monitor memory, reached through the GS base. Only its own thread
 * touches it, except the fields marked shared. */
struct thread {
    struct lock_holder holder; /* must be first: gs:0 */
    struct process *process;
    struct vcpu *vcpu;
    u64 serial;          /* shared: what thread_link returned */
    struct thread *next; /* shared: guarded by process->threads_lock */
    int tid;             /* shared: cleared by the kernel when the host thread is gone (futex) */
    int kernel_tid;      /* the same number, never cleared */
    gva_t set_child_tid; /* CLONE_CHILD_SETTID: written when the thread starts */
    gva_t clear_child_tid;
    gva_t robust_head;
    u64 robust_size;

    /* Signals (process/signal.h). The host's mask of this thread equals guest_mask whenever the
     * guest runs, except that SIGNAL_KICK and the synchronous signals are never blocked on the
     * host. */
    u64 guest_mask;
    u64 saved_mask; /* to restore after a temporary mask (sigsuspend, ppoll, ...) */
    bool has_saved_mask;
    volatile u32 signal_pending; /* SIGNAL_CAUGHT, _KEPT, _FAULT: something for signal_deliver */
    bool held; /* the host blocks all it may: from signal_hold or a catch until signal_release */
    siginfo_t caught;       /* the host signal that SIGNAL_CAUGHT tells of */
    u64 kept;               /* signals of SIGNALS_UNBLOCKED that programs sent, not yet delivered */
    siginfo_t kept_info[3]; /* of SIGSEGV, SIGBUS and SIGNAL_KICK */
    siginfo_t fault;
    u64 fault_trap, fault_error, fault_address; /* of the last exception; shown in signal frames */
    u32 asker; /* tid in another process that asks about this one (procfs/ask.h); with THREAD_ANSWER
                */
    volatile u32 work; /* shared: THREAD_* bits, something to do before entering the guest */
    gva_t altstack_base;
    u64 altstack_size;
    u32 altstack_flags;

    /* The call being made: for restarting it. */
    u64 call_nr;
    u64 call_arg[6];
    bool in_call;     /* registers stand right behind a SYSCALL instruction */
    u64 deadline;     /* of a call with a relative timeout, CLOCK_MONOTONIC ns; 0: none yet */
    u32 answer_count; /* questions about it that were answered with yes (process/question.h) */
    struct kw_policy_question *questions; /* QUESTIONS_SIZE bytes */
    bool asks; /* one was raised: the host may answer a call with the number of CALL_ASKS, too */

    /* Pages that the last address-less faults at fault_rip turned out to be allowed to touch. */
    u64 fault_rip;
    gva_t fault_pages[8];
    u32 fault_count;
    bool precise;       /* the next entry runs under precise page tables */
    bool fault_precise; /* the exit being served came from such a run */

    struct thread *next_sharer; /* clone.c: children that share memory and are not waited for */
    bool away;                  /* counts as parked: waits for a vfork'd child */
    void *block;                /* the mapping this record lies in, stack included */

    char *path[2];     /* PATH_MAX bytes each, for ARG_PATH */
    void *exec_memory; /* of an execve being made (exec_memory_free) */
    u8 *scratch;       /* for copied structures during one call */
    u64 scratch_used;

    struct known_link links[KNOWN_LINKS];
    u32 next_link; /* the one to be replaced next */
};
#define SCRATCH_SIZE (64ul << 10)

#define THREAD_PARK 1u   /* park as soon as outside the host */
#define THREAD_EXIT 2u   /* the process is exiting: end this thread */
#define THREAD_KILL 4u   /* another guest process sent SIGKILL */
#define THREAD_ANSWER 8u /* another process's monitor asks about this one: thread->asker */

static inline struct thread *thread_current(void) {
    struct thread *self;
    __asm__("mov %%gs:0, %0" : "=r"(self));
    return self;
}

/* Memory for copied structures of the present call, 16-byte aligned, freed by itself when the call
 * returns. NULL when SCRATCH_SIZE is exceeded (answer ENOMEM). */
void *scratch_take(struct thread *thread, u64 size);

/* Ends the present thread as exit(2) does: robust list, clear_child_tid, vCPU given back. */
_Noreturn void thread_exit(struct thread *thread, int status);

/* Ends the process as exit_group(2) does. */
_Noreturn void process_exit(struct thread *thread, int status);

/* Ends the process as by an uncaught fatal signal. */
_Noreturn void process_die(struct thread *thread, int signal);

/* Stops every other thread of the process outside host calls, until process_unpark. At most one
 * caller at a time; a caller that is asked to park meanwhile parks first. */
void process_park(struct thread *thread);
void process_unpark(struct thread *thread);

/* Called by a thread that finds work set: parks, exits, ... */
void thread_do_work(struct thread *thread);

/* A new thread record with a stack for the host thread, not yet linked anywhere. NULL: no memory.
 */
struct thread *thread_new(struct process *process);
void *thread_stack_top(struct thread *thread);
/* Frees a record whose host thread never ran or is gone. */
void thread_free(struct thread *thread);
/* Makes `thread` what thread_current() answers on this host thread, whose id is its kernel_tid.
 * Before it takes any lock. */
void thread_set_current(struct thread *thread);
/* Adds to the process's list, and takes off it. thread_link returns a number that no other thread
 * gets. */
u64 thread_link(struct thread *thread);
/* Makes a new thread's id known before it has run; nothing when it has ended already. */
void thread_set_tid(struct process *process, u64 serial, int tid);
void thread_unlink(struct thread *thread);
/* After fork, in the child: forgets what belonged to the parent's other threads. */
void thread_refork(void);

/* A copy of what Linux keeps per process, for a vfork'd child; without threads and pid. NULL: no
 * memory. */
struct process *process_copy(const struct process *process);
void process_free(struct process *process);

/* While a thread waits for a vfork'd child it needs not be parked. */
void thread_go_away(struct thread *thread);
void thread_come_back(struct thread *thread);

/* An idle vCPU, made if need be. NULL with *error when the machine has no more. */
struct vcpu *thread_obtain_vcpu(struct thread *thread, long *error);

/* Runs the guest from the registers as they stand, for ever. */
_Noreturn void thread_loop(struct thread *thread);

/* Serves a guest exception, or a page KVM could not reach (fault == NULL). */
void fault_serve(struct thread *thread, const struct vcpu_fault *fault);
/* Back to the coarse page tables. */
void fault_leave_precise(struct thread *thread);

#endif
