/* Resource limits. Those that would hit the monitor itself (its 64 TiB window, its descriptors) are
 * kept here and enforced by the monitor; all others are the host kernel's. */
#include <linux/capability.h>
#include <linux/limits.h>
#include <linux/resource.h>

#include "calls/call.h"
#include "calls/handlers.h"
#include "calls/resources.h"
#include "base/own_fd.h"
#include "process/thread.h"

/* Guards process->rlimits of every process in this address space against torn pairs. */
static struct lock limits_lock;

static bool is_kept(u32 resource) {
    return resource == RLIMIT_AS || resource == RLIMIT_DATA || resource == RLIMIT_STACK ||
           resource == RLIMIT_MEMLOCK || resource == RLIMIT_NOFILE;
}

/* Brings the host's soft limit of descriptors in line: it is what gives the guest its EMFILE. */
static long set_host_nofile(u64 soft) {
    struct rlimit64 limit;
    long result = host(__NR_prlimit64, 0, RLIMIT_NOFILE, 0, &limit);
    if (result)
        return result;
    limit.rlim_cur = soft;
    return host(__NR_prlimit64, 0, RLIMIT_NOFILE, &limit, 0);
}

/* Sets a kept limit as setrlimit(2) does, with the lock held. No instance may raise hard limits. */
static long set_kept(struct process *process, u32 resource, const struct rlimit64 *limit) {
    struct rlimit64 *kept = &process->rlimits[resource];
    long result = 0;

    if (limit->rlim_cur > limit->rlim_max)
        return -EINVAL;
    if (limit->rlim_max > kept->rlim_max)
        return -EPERM;
    if (resource == RLIMIT_NOFILE)
        result = set_host_nofile(limit->rlim_cur);
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
    if (!is_kept(resource))
        return host(__NR_prlimit64, 0, resource, set, old);
    lock_take(&limits_lock);
    if (old)
        *old = process->rlimits[resource];
    if (set)
        result = set_kept(process, resource, set);
    lock_release(&limits_lock);
    return result;
}

u64 soft_limit(struct process *process, u32 resource) {
    u64 value;
    lock_take(&limits_lock);
    value = process->rlimits[resource].rlim_cur;
    lock_release(&limits_lock);
    return value;
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
