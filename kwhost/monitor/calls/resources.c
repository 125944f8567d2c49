/* Resource limits. Some are kept here and enforced by the monitor, because they would hit the
 * monitor itself (its 64 TiB window, its descriptors). Of some the host enforces the soft limit,
 * but its hard one is left as it was, so that the monitor can lift the soft one for its own work.
 * All others are the host kernel's. */
#include <linux/limits.h>
#include <linux/resource.h>

#include "calls/call.h"
#include "calls/handlers.h"
#include "calls/resources.h"
#include "base/own_fd.h"
#include "process/thread.h"

bool limit_is_kept(u32 resource) {
    switch (resource) {
    case RLIMIT_AS:
    case RLIMIT_DATA:
    case RLIMIT_STACK:
    case RLIMIT_NOFILE:
    case RLIMIT_FSIZE:
    case RLIMIT_NPROC:
        return true;
    default:
        return false;
    }
}

/* Sets the host's soft limit of a resource whose hard limit the monitor keeps. */
static long set_host_soft(u32 resource, u64 soft) {
    struct rlimit64 limit;
    long result = host(__NR_prlimit64, 0, resource, 0, &limit);
    if (result)
        return result;
    limit.rlim_cur = min_u64(soft, limit.rlim_max);
    return host(__NR_prlimit64, 0, resource, &limit, 0);
}

/* Brings the host in line with a kept limit that it is to enforce. */
static long enforce(u32 resource, u64 soft) {
    switch (resource) {
    case RLIMIT_NOFILE: /* gives the guest its EMFILE */
    case RLIMIT_FSIZE:  /* its SIGXFSZ; lifted for the monitor's own files (own_file_limit_raise) */
        return set_host_soft(resource, soft);
    case RLIMIT_NPROC:
        /* KVM adds a thread to each process. Counted double, the limit is never stricter than the
         * guest asked, and 0 still means none. */
        return set_host_soft(resource, soft > RLIM64_INFINITY / 2 ? soft : 2 * soft);
    default:
        return 0;
    }
}

/* Sets a kept limit as setrlimit(2) does, with the lock held. No instance may raise hard limits. */
static long set_kept(struct process *process, u32 resource, const struct rlimit64 *limit) {
    struct rlimit64 *kept = &process->rlimits[resource];
    long result;

    if (limit->rlim_cur > limit->rlim_max)
        return -EINVAL;
    if (limit->rlim_max > kept->rlim_max)
        return -EPERM;
    result = enforce(resource, limit->rlim_cur);
    if (result == 0)
        *kept = *limit;
    return result;
}

/* prlimit on the own process. `set` and `old` are monitor memory or NULL. */
static long change_limit(struct process *process, u32 resource, const struct rlimit64 *set,
                         struct rlimit64 *old) {
    long result = 0;

    if (resource >= RLIM_NLIMITS)
        return -EINVAL;
    if (!limit_is_kept(resource))
        return host(__NR_prlimit64, 0, resource, set, old);
    lock_take(&process->limits_lock);
    if (old)
        *old = process->rlimits[resource];
    if (set)
        result = set_kept(process, resource, set);
    lock_release(&process->limits_lock);
    return result;
}

long sys_prlimit64(struct call *call) {
    struct process *process = call->thread->process;
    s32 pid = (s32)call->arg[0];
    gva_t set_from = call->arg[2], old_to = call->arg[3];
    struct rlimit64 set, old;
    long result;

    if (set_from && get_guest(set, set_from))
        return -EFAULT;
    if ((u32)call->arg[1] >= RLIM_NLIMITS)
        return -EINVAL;
    if (pid && pid != process->pid && host(__NR_tgkill, process->pid, pid, 0)) {
        /* Another process: its monitor keeps half of them. */
        result = host(__NR_prlimit64, pid, RLIMIT_CPU, 0, 0);
        return result == -ESRCH ? result : -EPERM;
    }
    result = change_limit(process, (u32)call->arg[1], set_from ? &set : NULL, old_to ? &old : NULL);
    if (result == 0 && old_to && put_guest(old, old_to))
        return -EFAULT;
    return result;
}

long sys_getrlimit(struct call *call) {
    struct rlimit64 old;
    long result = change_limit(call->thread->process, (u32)call->arg[0], NULL, &old);
    if (result == 0 && put_guest(old, call->arg[1]))
        return -EFAULT;
    return result;
}

long sys_setrlimit(struct call *call) {
    struct rlimit64 set;
    if (get_guest(set, call->arg[1]))
        return -EFAULT;
    return change_limit(call->thread->process, (u32)call->arg[0], &set, NULL);
}
