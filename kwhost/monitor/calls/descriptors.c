/* Descriptors: duplication, ranges, locks, pipes. */
#include <linux/close_range.h>
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/sched.h>

#include "calls/call.h"
#include "calls/dispatch.h"
#include "calls/handlers.h"
#include "calls/stats.h"
#include "process/exec.h"
#include "process/thread.h"

#define SPLICE_GIFT 8 /* SPLICE_F_GIFT: pages would leave the window */

/* What the third argument of an fcntl command is. */
enum fcntl_argument { FCNTL_UNKNOWN, FCNTL_VALUE, FCNTL_POINTER, FCNTL_LOWEST, FCNTL_FD };

/* Commands newer than the headers of the oldest supported system. */
#define DUPFD_QUERY (F_LINUX_SPECIFIC_BASE + 3)
#define CREATED_QUERY (F_LINUX_SPECIFIC_BASE + 4)

static enum fcntl_argument fcntl_argument(u32 command) {
    switch (command) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
        return FCNTL_LOWEST;
    case DUPFD_QUERY:
        return FCNTL_FD;
    case F_GETFD:
    case F_SETFD:
    case F_GETFL:
    case F_SETFL:
    case F_SETOWN:
    case F_GETOWN:
    case F_SETSIG:
    case F_GETSIG:
    case F_SETLEASE:
    case F_GETLEASE:
    case F_NOTIFY:
    case F_SETPIPE_SZ:
    case F_GETPIPE_SZ:
    case F_ADD_SEALS:
    case F_GET_SEALS:
    case CREATED_QUERY:
        return FCNTL_VALUE;
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_GETLK:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
    case F_SETOWN_EX:
    case F_GETOWN_EX:
    case F_GETOWNER_UIDS:
    case F_GET_RW_HINT:
    case F_SET_RW_HINT:
    case F_GET_FILE_RW_HINT:
    case F_SET_FILE_RW_HINT:
        return FCNTL_POINTER;
    default:
        return FCNTL_UNKNOWN;
    }
}

long sys_fcntl(struct call *call) {
    const struct call_entry *entry = &call_table[__NR_fcntl];
    u32 command = (u32)call->arg[1];
    struct host_args args = {{(u64)(s64)(s32)call->arg[0], command, call->arg[2]}};

    if (!guest_fd_ok(call->arg[0]))
        return -EBADF;
    switch (fcntl_argument(command)) {
    case FCNTL_LOWEST:
        if ((u32)args.value[2] >= own_fd_base())
            return -EINVAL;
        break;
    case FCNTL_FD:
        if (!guest_fd_ok(args.value[2]))
            return -EBADF;
        break;
    case FCNTL_POINTER:
        args.value[2] = host_pointer(args.value[2]);
        break;
    case FCNTL_VALUE:
        break;
    case FCNTL_UNKNOWN:
    default:
        stats_refused(call->nr);
        return host(__NR_fcntl, args.value[0], F_GETFD) < 0 ? -EBADF : -EINVAL;
    }
    return make_host_call(call, entry, &args);
}

/* A descriptor table of its own for one thread would part it from the vCPUs that others make. */
static bool unshare_table_ok(struct call *call) {
    struct process *process = call->thread->process;
    u32 threads;

    lock_take(&process->threads_lock);
    threads = process->thread_count;
    lock_release(&process->threads_lock);
    if (threads > 1)
        stats_refused(call->nr);
    return threads <= 1;
}

long sys_close_range(struct call *call) {
    u32 first = (u32)call->arg[0], last = (u32)call->arg[1], flags = (u32)call->arg[2];
    u32 base = own_fd_base();

    if (flags & ~(u32)(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) || first > last)
        return -EINVAL;
    if (flags & CLOSE_RANGE_UNSHARE) {
        if (!unshare_table_ok(call))
            return -EINVAL;
        flags &= ~(u32)CLOSE_RANGE_UNSHARE; /* the only thread has its own already */
    }
    if (first >= base)
        return 0;
    return host(__NR_close_range, first, last < base ? last : base - 1, flags);
}

long sys_unshare(struct call *call) {
    const u64 alone = CLONE_THREAD | CLONE_VM | CLONE_SIGHAND; /* true for a single thread */
    const u64 tables = CLONE_FS | CLONE_FILES | CLONE_SYSVSEM;
    const u64 spaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                       CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWTIME;
    u64 flags = call->arg[0];

    if (flags & ~(alone | tables | spaces))
        return -EINVAL;
    if (flags & spaces) {
        stats_refused(call->nr);
        return -EPERM;
    }
    if (flags && !unshare_table_ok(call))
        return flags & alone ? -EINVAL : -EPERM;
    return flags & CLONE_SYSVSEM ? host(__NR_unshare, CLONE_SYSVSEM) : 0;
}

long sys_pipe2(struct call *call) {
    if (call->arg[1] & O_EXCL) /* O_NOTIFICATION_PIPE */
        return -EINVAL;
    return call_forward(call);
}

long sys_vmsplice(struct call *call) {
    if (call->arg[3] & SPLICE_GIFT)
        return -EINVAL;
    return call_forward(call);
}
