/* The memory calls: thin over mm/space.h. */
#include <linux/mman.h>
#include <linux/resource.h>

#include "calls/handlers.h"
#include "mm/space.h"
#include "process/load.h"
#include "process/thread.h"
#include "procfs/table.h"

static long sized(struct call *call, long result) {
    table_publish_size(call->thread->process, space_size());
    return result;
}

/* RLIMIT_AS, which the monitor keeps. */
static bool may_grow(const struct call *call, u64 more) {
    u64 limit = call->thread->process->rlimits[RLIMIT_AS].rlim_cur;
    return more <= limit && space_size() <= limit - more;
}

/* RLIMIT_DATA, kept too. A soft limit of 0 leaves it to the hard one, as on Linux. */
static u64 data_limit(const struct call *call) {
    const struct rlimit64 *limit = &call->thread->process->rlimits[RLIMIT_DATA];
    return limit->rlim_cur ? limit->rlim_cur : limit->rlim_max;
}

static bool may_grow_data(const struct call *call, u64 more) {
    u64 limit = data_limit(call);
    if (!more || limit == RLIM64_INFINITY)
        return true;
    return more <= limit && space_data(0, SPACE_LIMIT, false) <= limit - more;
}

long sys_mmap(struct call *call) {
    u64 *arg = call->arg;
    int flags = (int)arg[3];
    if (!(flags & MAP_ANONYMOUS) && !guest_fd_ok(arg[4]))
        return -EBADF;
    bool data = (arg[2] & PROT_WRITE) && (flags & MAP_TYPE) == MAP_PRIVATE;
    if (!may_grow(call, arg[1]) || (data && !may_grow_data(call, page_up(arg[1]))))
        return -ENOMEM;
    return sized(call, space_map(arg[0], arg[1], (int)arg[2], flags,
                                 flags & MAP_ANONYMOUS ? -1 : (int)arg[4], arg[5],
                                 flags & MAP_ANONYMOUS ? MAPPING_ANONYMOUS : MAPPING_FILE));
}

long sys_munmap(struct call *call) {
    return sized(call, space_unmap(call->arg[0], call->arg[1]));
}

long sys_mprotect(struct call *call) {
    gva_t start = call->arg[0], end = start + page_up(call->arg[1]);
    if ((call->arg[2] & PROT_WRITE) && data_limit(call) != RLIM64_INFINITY &&
        !may_grow_data(call, space_data(start, end, true) - space_data(start, end, false)))
        return -ENOMEM;
    return space_protect(call->arg[0], call->arg[1], (int)call->arg[2]);
}

long sys_mremap(struct call *call) {
    u64 old = page_up(call->arg[1]), new = page_up(call->arg[2]);
    if (new > old && !may_grow(call, new - old))
        return -ENOMEM;
    if (new > old && !may_grow_data(call, new - old) &&
        space_data(call->arg[0], call->arg[0] + 1, false))
        return -ENOMEM;
    return sized(call, space_remap(call->arg[0], call->arg[1], call->arg[2], (int)call->arg[3],
                                   call->arg[4]));
}

long sys_madvise(struct call *call) {
    return space_advise(call->arg[0], call->arg[1], (int)call->arg[2]);
}

long sys_brk(struct call *call) {
    u64 wanted = call->arg[0], now = space_break(0);
    u64 data = call->thread->process->rlimits[RLIMIT_DATA].rlim_cur;
    if (wanted > now &&
        (!may_grow(call, wanted - now) || wanted - program_image.break_start > data ||
         !may_grow_data(call, page_up(wanted) - page_up(now))))
        return (long)now;
    return sized(call, (long)space_break(call->arg[0]));
}

/* The calls below act on what is mapped and on nothing else: the host knows the window as one
 * piece. */
static long on_mapped(struct call *call, long unmapped) {
    u64 start = call->arg[0], size = page_up(call->arg[1]);
    if (size < call->arg[1] || !window_range_ok(page_down(start), size))
        return unmapped;
    return space_all_mapped(page_down(start), size) ? 0 : unmapped;
}

long sys_msync(struct call *call) {
    u64 start = call->arg[0];
    if (start & ~PAGE_MASK)
        return -EINVAL;
    long error = on_mapped(call, -ENOMEM);
    return error ? error : host(__NR_msync, WINDOW_BASE + start, call->arg[1], call->arg[2]);
}

long sys_mincore(struct call *call) {
    u64 start = call->arg[0];
    if (start & ~PAGE_MASK)
        return -EINVAL;
    u64 pages = page_up(call->arg[1]) / PAGE_SIZE;
    if (!window_range_ok(call->arg[2], pages))
        return -EFAULT;
    long error = on_mapped(call, -ENOMEM);
    return error ? error
                 : host(__NR_mincore, WINDOW_BASE + start, call->arg[1], window_ptr(call->arg[2]));
}

static long lock_memory(struct call *call, u64 flags) {
    long error = on_mapped(call, -ENOMEM);
    if (error)
        return error;
    return host(__NR_mlock2, WINDOW_BASE + call->arg[0], call->arg[1], flags);
}

long sys_mlock(struct call *call) {
    return lock_memory(call, 0);
}

long sys_mlock2(struct call *call) {
    return lock_memory(call, call->arg[2]);
}

long sys_munlock(struct call *call) {
    long error = on_mapped(call, -ENOMEM);
    return error ? error : host(__NR_munlock, WINDOW_BASE + call->arg[0], call->arg[1]);
}

long sys_mlockall(struct call *call) {
    u64 flags = call->arg[0];
    if (!flags || (flags & ~7ul) || flags == MCL_ONFAULT)
        return -EINVAL;
    /* The host would try to lock the whole window: answered as over the limit. */
    struct rlimit64 limit = {0};
    host(__NR_prlimit64, 0, RLIMIT_MEMLOCK, 0, &limit);
    return limit.rlim_cur ? -ENOMEM : -EPERM;
}

long sys_munlockall(struct call *call) {
    (void)call;
    return host(__NR_munlockall); /* the monitor has nothing locked */
}
