/* clone, clone3, fork and vfork: threads, copies of the process, and children that borrow its
 * memory. */
#include <linux/sched.h>

#include "base/accounts.h"
#include "base/error_text.h"
#include "base/report.h"
#include "base/text.h"
#include "calls/handlers.h"
#include "machine/machine.h"
#include "mm/extent.h"
#include "mm/space.h"
#include "process/exec.h"
#include "process/signal.h"
#include "process/signal_host.h"
#include "process/thread.h"
#include "procfs/table.h"

#define CLONE_NAMESPACES                                                                           \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |  \
     CLONE_NEWNET | CLONE_NEWTIME)
#define USER_LIMIT (1ul << 47)
#define CLONE_THREAD_NEEDS (CLONE_VM | CLONE_SIGHAND | CLONE_FILES)
/* Flags of a new process that the host acts on by itself. */
#define CLONE_PASSED (CLONE_FS | CLONE_PARENT | CLONE_IO | CLONE_SYSVSEM | CLONE_VFORK)

/* A request of any of the four calls. */
struct request {
    u64 flags, exit_signal;
    gva_t stack; /* initial stack pointer; 0: the caller's */
    u64 tls;
    gva_t parent_tid, child_tid, pidfd;
};

extern long clone_start(u64 flags, void *stack_top, int *parent_tid, int *child_tid,
                        struct thread *thread);
_Noreturn void clone_child(struct thread *thread);

/* CLONE_CLEAR_SIGHAND: handled signals get their default action. */
static void clear_handlers(struct process *process) {
    for (int signal = 1; signal < SIGNAL_LIMIT; signal++) {
        struct guest_action *action = &process->actions[signal];
        if (action->handler == HANDLER_DEFAULT || action->handler == HANDLER_IGNORE)
            continue;
        *action = (struct guest_action){0};
        host_action_follow(signal, action);
    }
}

/* First code of a new host thread or vfork'd child, on its own stack, all signals blocked. */
_Noreturn void clone_child(struct thread *thread) {
    thread->kernel_tid = (int)host(__NR_gettid);
    thread_set_current(thread);
    struct process *process = thread->process;
    if (process->vforked && !process->pid) {
        process->pid = thread->kernel_tid;
        process->account = account_take(process->account, (u32)process->pid);
        table_publish_fork(process, (int)host(__NR_getppid));
        if (process->clear_handlers)
            clear_handlers(process);
    }
    if (thread->set_child_tid) {
        u32 tid = (u32)thread->kernel_tid;
        put_guest(tid, thread->set_child_tid);
    }
    signal_release(thread);
    thread_loop(thread);
}

/* The child's vCPU continues where the parent's stands, with 0 as the call's result. */
static void copy_registers(struct vcpu *to, const struct kvm_regs *regs, const void *xsave,
                           u64 fs_base, u64 gs_base, const struct request *request) {
    *vcpu_regs(to) = *regs;
    vcpu_regs(to)->rax = 0;
    if (request->stack)
        vcpu_regs(to)->rsp = request->stack;
    to->fs_base = request->flags & CLONE_SETTLS ? request->tls : fs_base;
    to->gs_base = gs_base;
    vcpu_set_xsave(to, xsave);
}

/* A record and a vCPU for a child that shares memory. NULL with *error. */
static struct thread *new_runner(struct thread *thread, struct process *process,
                                 const struct request *request, long *error) {
    struct thread *child = thread_new(process);
    *error = -EAGAIN;
    if (!child)
        return NULL;
    child->vcpu = thread_obtain_vcpu(thread, error);
    void *xsave = scratch_take(thread, XSAVE_SIZE);
    if (!child->vcpu || !xsave) {
        if (child->vcpu)
            vcpu_give(child->vcpu);
        thread_free(child);
        return NULL;
    }
    vcpu_get_xsave(thread->vcpu, xsave);
    copy_registers(child->vcpu, vcpu_regs(thread->vcpu), xsave, vcpu_fs_base(thread->vcpu),
                   vcpu_gs_base(thread->vcpu), request);
    child->guest_mask = thread->guest_mask;
    child->set_child_tid = request->flags & CLONE_CHILD_SETTID ? request->child_tid : 0;
    child->clear_child_tid = request->flags & CLONE_CHILD_CLEARTID ? request->child_tid : 0;
    return child;
}

static void drop_runner(struct thread *child) {
    vcpu_give(child->vcpu);
    child->tid = 0;
    thread_free(child);
}

/* With CLONE_PIDFD the host has no room for the parent's word of clone3. */
static void tell_pidfd(const struct request *request, int pid, int pidfd) {
    put_guest(pidfd, request->pidfd);
    if (request->flags & CLONE_PARENT_SETTID)
        put_guest(pid, request->parent_tid);
}

static int *host_parent_tid(const struct request *request) {
    return request->flags & CLONE_PARENT_SETTID ? window_ptr(request->parent_tid) : NULL;
}

static long clone_thread(struct thread *thread, const struct request *request) {
    if ((request->flags & CLONE_THREAD_NEEDS) != CLONE_THREAD_NEEDS ||
        (request->flags & (CLONE_PIDFD | CLONE_VFORK)) || !request->stack)
        return -EINVAL;
    if (thread->process->vforked)
        return -EAGAIN; /* vCPUs made since are not in this process's descriptor table */
    long result;
    u32 account = thread->process->account;
    if (!account_add_thread(account))
        return -EAGAIN;
    struct thread *child = new_runner(thread, thread->process, request, &result);
    if (!child) {
        account_remove_thread(account);
        return result;
    }
    if (!signal_hold(thread)) {
        drop_runner(child);
        account_remove_thread(account);
        return -ERESTARTNOINTR;
    }
    u64 flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID |
                (request->flags & (CLONE_PARENT_SETTID | CLONE_IO));
    child->tid = -1; /* not free until the kernel says so */
    u64 serial = thread_link(child);
    result =
        clone_start(flags, thread_stack_top(child), host_parent_tid(request), &child->tid, child);
    if (result > 0) {
        thread_set_tid(thread->process, serial, (int)result);
        stats_count(threads, 1);
    }
    if (result < 0) {
        thread_unlink(child);
        drop_runner(child);
        account_remove_thread(account);
    }
    signal_release(thread);
    table_publish_threads(thread->process);
    return result;
}

/* Children that share this memory without their parent waiting for them, until they are gone from
 * it: the kernel clears their record's `tid` then. Guarded by sharers_lock. */
static struct lock sharers_lock;
static struct thread *sharers;

static void take_back(struct thread *child) {
    struct process *process = child->process;
    if (child->precise) /* it was killed */
        fault_leave_precise(child);
    exec_memory_free(child);
    drop_runner(child);
    process_free(process);
}

static void collect_sharers(void) {
    lock_take(&sharers_lock);
    struct thread **link = &sharers;
    while (*link) {
        struct thread *child = *link;
        if (__atomic_load_n(&child->tid, __ATOMIC_ACQUIRE)) {
            link = &child->next_sharer;
            continue;
        }
        *link = child->next_sharer;
        take_back(child);
    }
    lock_release(&sharers_lock);
}

static void add_sharer(struct thread *child) {
    lock_take(&sharers_lock);
    child->next_sharer = sharers;
    sharers = child;
    lock_release(&sharers_lock);
}

/* What became of the account reserved for a child. */
static void settle_account(u32 account, const struct thread *parent, long child) {
    if (child > 0)
        account_assign(account, (u32)parent->kernel_tid, (u32)child);
    else
        account_release(account);
}

/* A child process in this very memory: NULL with *error. */
static struct thread *new_borrower(struct thread *thread, const struct request *request,
                                   long *error) {
    struct process *process = process_copy(thread->process);
    *error = -ENOMEM;
    struct thread *child = process ? new_runner(thread, process, request, error) : NULL;
    if (!child) {
        if (process)
            process_free(process);
        return NULL;
    }
    process->vforked = true;
    process->clear_handlers = request->flags & CLONE_CLEAR_SIGHAND;
    child->altstack_base = thread->altstack_base;
    child->altstack_size = thread->altstack_size;
    child->altstack_flags = thread->altstack_flags;
    return child;
}

/* CLONE_VM without CLONE_THREAD: with CLONE_VFORK the parent waits until the child has executed a
 * program or ended, without it both run. */
static long clone_borrower(struct thread *thread, const struct request *request) {
    bool wait = request->flags & CLONE_VFORK;
    long result;
    collect_sharers();
    long account = account_reserve((u32)thread->kernel_tid);
    if (account < 0)
        return account;
    struct thread *child = new_borrower(thread, request, &result);
    if (!child) {
        account_release((u32)account);
        return result;
    }
    if (!signal_hold(thread)) {
        take_back(child);
        account_release((u32)account);
        return -ERESTARTNOINTR;
    }
    child->process->account = (u32)account;
    thread_link(child);
    u64 flags = CLONE_VM | request->exit_signal |
                (request->flags & (CLONE_PASSED | CLONE_PARENT_SETTID | CLONE_PIDFD));
    int pidfd = -1;
    int *parent_tid = request->flags & CLONE_PIDFD ? &pidfd : host_parent_tid(request);
    if (request->flags & CLONE_PIDFD)
        flags &= ~(u64)CLONE_PARENT_SETTID;
    stats_count(processes, 1);
    stats_count(threads, 1);
    child->tid = wait ? 0 : -1;
    if (wait)
        thread_go_away(thread);
    else
        flags |= CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID;
    result = clone_start(flags, thread_stack_top(child), parent_tid, &child->tid, child);
    if (wait)
        thread_come_back(thread);
    settle_account((u32)account, thread, result);
    signal_release(thread);
    if (wait || result < 0)
        take_back(child);
    else
        add_sharer(child);
    if (result > 0 && (request->flags & CLONE_PIDFD))
        tell_pidfd(request, (int)result, pidfd);
    return result;
}

/* In the forked child: the process is this one thread, with a VM of its own. */
static void become_child(struct thread *thread, const struct request *request, u32 account,
                         const struct kvm_regs *regs, const void *xsave, u64 fs_base, u64 gs_base) {
    struct process *process = thread->process;
    int parent = process->pid;
    process->pid = (int)host(__NR_getpid);
    thread_refork();
    sharers_lock = (struct lock){0};
    sharers = NULL;
    process->threads = thread;
    process->thread_count = 1;
    process->parking = process->parked = 0;
    process->is_first = 0;
    process->vforked = false;
    thread->next = NULL;
    thread->kernel_tid = process->pid;
    thread_set_current(thread);
    thread->work = 0;
    thread->robust_head = 0;
    thread->clear_child_tid = request->flags & CLONE_CHILD_CLEARTID ? request->child_tid : 0;
    precise_users = 0;
    space_refork();
    process->account = account_take(account, (u32)process->pid);
    account_forked(process->account, space_charged());
    own_fd_close_borrowed();
    int error = machine_refork();
    if (!error)
        error = extent_refork();
    if (!error)
        error = vdso_refork();
    if (!error)
        error = vcpu_make_batch(1);
    if (error)
        monitor_fail(125, "fork: cannot make a virtual machine for the child: %s",
                     error_text(error));
    thread->vcpu = vcpu_take();
    copy_registers(thread->vcpu, regs, xsave, fs_base, gs_base, request);
    if (request->flags & CLONE_CLEAR_SIGHAND)
        clear_handlers(process);
    if (request->flags & CLONE_CHILD_SETTID)
        put_guest(process->pid, request->child_tid);
    stats_count(processes, 1);
    stats_count(threads, 1);
    table_publish_fork(process, parent);
}

static void take_all_locks(struct process *process) {
    lock_take(&process->limits_lock);
    lock_take(&process->actions_lock);
    lock_take(&process->threads_lock);
    space_lock_all();
}

static void release_all_locks(struct process *process) {
    space_unlock_all();
    lock_release(&process->threads_lock);
    lock_release(&process->actions_lock);
    lock_release(&process->limits_lock);
}

static long clone_fork(struct thread *thread, const struct request *request) {
    void *xsave = scratch_take(thread, XSAVE_SIZE);
    struct vcpu *vcpu = thread->vcpu;
    struct process *process = thread->process;
    vcpu_get_xsave(vcpu, xsave);
    u64 fs_base = vcpu_fs_base(vcpu), gs_base = vcpu_gs_base(vcpu);
    struct kvm_regs regs = *vcpu_regs(vcpu); /* the child does not inherit the vCPU's pages */
    long account = account_reserve((u32)thread->kernel_tid);
    if (account < 0)
        return account;
    if (!signal_hold(thread)) {
        account_release((u32)account);
        return -ERESTARTNOINTR;
    }
    u64 flags = (request->flags & (CLONE_PASSED | CLONE_PARENT_SETTID | CLONE_PIDFD)) |
                request->exit_signal;
    int pidfd = -1;
    int *parent_tid = request->flags & CLONE_PIDFD ? &pidfd : host_parent_tid(request);
    if (request->flags & CLONE_PIDFD)
        flags &= ~(u64)CLONE_PARENT_SETTID;
    take_all_locks(process);
    u64 kept = signal_kept_leave(thread);
    long result = host(__NR_clone, flags, 0, parent_tid, 0, 0);
    if (result) {
        signal_kept_return(thread, kept);
        settle_account((u32)account, thread, result);
    }
    release_all_locks(process);
    if (result == 0)
        become_child(thread, request, (u32)account, &regs, xsave, fs_base, gs_base);
    signal_release(thread);
    if (result > 0 && (request->flags & CLONE_PIDFD))
        tell_pidfd(request, (int)result, pidfd);
    return result;
}

static long clone_any(struct thread *thread, const struct request *request) {
    u64 flags = request->flags;
    if ((flags & CLONE_FS) && (flags & (CLONE_NEWNS | CLONE_NEWUSER)))
        return -EINVAL;
    if (flags & CLONE_NAMESPACES)
        return -EPERM;
    if ((flags & CLONE_THREAD) && !(flags & CLONE_SIGHAND))
        return -EINVAL;
    if (((flags & CLONE_SIGHAND) && !(flags & CLONE_VM)) ||
        ((flags & CLONE_CLEAR_SIGHAND) && (flags & CLONE_SIGHAND)))
        return -EINVAL;
    if (request->exit_signal > 64 || (request->stack && !window_range_ok(request->stack, 0)))
        return -EINVAL;
    if ((flags & CLONE_SETTLS) && request->tls >= USER_LIMIT)
        return -EPERM; /* the vCPU must not see an address that is not canonical */
    /* A child's end would look like a fault of the monitor, or like a kick. */
    if (request->exit_signal && (signal_bit(request->exit_signal) & SIGNALS_UNBLOCKED))
        return -EINVAL;
    if ((flags & CLONE_PIDFD) && (flags & CLONE_PARENT_SETTID) &&
        request->pidfd == request->parent_tid)
        return -EINVAL;
    if (flags & CLONE_THREAD)
        return clone_thread(thread, request);
    /* Descriptors or handlers shared between processes: not served (table.def). */
    if (flags & (CLONE_FILES | CLONE_SIGHAND))
        return -EINVAL;
    /* A process that borrows its memory has no vCPU to lend: its own children get copies. */
    if ((flags & CLONE_VM) && !thread->process->vforked)
        return clone_borrower(thread, request);
    if ((flags & CLONE_VM) && !(flags & CLONE_VFORK))
        return -EAGAIN;
    return clone_fork(thread, request);
}

long sys_clone(struct call *call) {
    struct request request = {
        .flags = call->arg[0] & ~0xfful & 0xffffffff,
        .exit_signal = call->arg[0] & 0xff,
        .stack = call->arg[1],
        .parent_tid = call->arg[2],
        .pidfd = call->arg[2],
        .child_tid = call->arg[3],
        .tls = call->arg[4],
    };
    request.flags &= ~(u64)(CLONE_DETACHED | CLONE_PTRACE | CLONE_UNTRACED);
    return clone_any(call->thread, &request);
}

long sys_clone3(struct call *call) {
    struct clone_args args = {0};
    u64 size = call->arg[1];
    if (size < CLONE_ARGS_SIZE_VER0)
        return -EINVAL;
    if (size > PAGE_SIZE)
        return -E2BIG;
    if (copy_from_guest(&args, call->arg[0], min_u64(size, sizeof args)))
        return -EFAULT;
    for (u64 at = sizeof args; at < size; at++) {
        u8 byte;
        if (copy_from_guest(&byte, call->arg[0] + at, 1))
            return -EFAULT;
        if (byte)
            return -E2BIG;
    }
    if (args.set_tid || args.set_tid_size)
        return -EPERM;
    /* Neither a new time namespace (in the exit signal's bits) nor another cgroup. */
    u64 known = 0xffffff00 | CLONE_CLEAR_SIGHAND;
    if ((args.flags & ~known) || (args.flags & CLONE_DETACHED) ||
        (args.stack == 0) != (args.stack_size == 0))
        return -EINVAL;
    struct request request = {
        .flags = args.flags & ~(u64)(CLONE_PTRACE | CLONE_UNTRACED),
        .exit_signal = args.exit_signal,
        .stack = args.stack + args.stack_size,
        .tls = args.tls,
        .parent_tid = args.parent_tid,
        .child_tid = args.child_tid,
        .pidfd = args.pidfd,
    };
    return clone_any(call->thread, &request);
}

long sys_fork(struct call *call) {
    struct request request = {.exit_signal = SIGCHLD};
    return clone_any(call->thread, &request);
}

long sys_vfork(struct call *call) {
    struct request request = {.flags = CLONE_VM | CLONE_VFORK, .exit_signal = SIGCHLD};
    return clone_any(call->thread, &request);
}
