/* mremap and madvise. */
#include <linux/errno.h>
#include <linux/mman.h>

#include "base/host.h"
#include "machine/paging.h"
#include "mm/extent.h"
#include "mm/list.h"

/* A validated request; sizes are page multiples. */
struct remap {
    gva_t old, target;
    u64 old_size, new_size;
    int flags;
    struct mapping mapping; /* that holds the old range */
};

static long cover(const struct remap *remap, gva_t start, u64 size) {
    if (remap->mapping.prot == PROT_NONE)
        return 0;
    long error = extent_cover(start, start + size);
    if (!error && (remap->mapping.prot & PROT_EXEC))
        space_allow_execute(start, start + size);
    return error;
}

static void list_as(const struct remap *remap, gva_t start, gva_t end) {
    struct mapping mapping = remap->mapping;
    mapping.start = start;
    mapping.end = end;
    list_add(mapping);
}

/* Tries to grow in place. -ENOMEM: no room, or the host would not. */
static long grow(const struct remap *remap) {
    gva_t end = remap->old + remap->old_size, new_end = remap->old + remap->new_size;
    if (new_end > SPACE_LIMIT || space_any_in(end, new_end) || end != remap->mapping.end)
        return -ENOMEM;
    if (cover(remap, end, new_end - end))
        return -ENOMEM;
    /* The reservation makes way; the lock keeps the monitor's own mappings out of the hole. */
    host(__NR_munmap, WINDOW_BASE + end, new_end - end);
    long result = host(__NR_mremap, WINDOW_BASE + remap->old, remap->old_size, remap->new_size, 0);
    if (host_failed(result)) {
        reserve_again(end, new_end);
        return result == -EAGAIN ? result : -ENOMEM; /* more would be locked than is allowed */
    }
    list_as(remap, end, new_end);
    return (long)remap->old;
}

static long move(const struct remap *remap) {
    gva_t target = remap->target, target_end = target + remap->new_size;
    long error = cover(remap, target, remap->new_size);
    if (error)
        return error;
    long result = host(__NR_mremap, WINDOW_BASE + remap->old, remap->old_size, remap->new_size,
                       MREMAP_MAYMOVE | MREMAP_FIXED | (remap->flags & MREMAP_DONTUNMAP),
                       WINDOW_BASE + target);
    list_carve(target, target_end);
    if (host_failed(result)) {
        reserve_again(target, target_end); /* the host may have unmapped it */
        return result;
    }
    bool keep = (remap->flags & MREMAP_DONTUNMAP) || remap->old_size == 0;
    if (!keep) {
        reserve_again(remap->old, remap->old + remap->old_size);
        list_carve(remap->old, remap->old + remap->old_size);
        extent_forget(remap->old, remap->old + remap->old_size);
    }
    list_as(remap, target, target_end);
    return (long)target;
}

static long check_fixed(const struct remap *remap) {
    gva_t target = remap->target;
    if ((target & ~PAGE_MASK) || target > SPACE_LIMIT || remap->new_size > SPACE_LIMIT - target)
        return -EINVAL;
    if (target < MAP_LOWEST)
        return -EPERM;
    if (target < remap->old + remap->old_size && remap->old < target + remap->new_size)
        return -EINVAL;
    return list_special_in(target, target + remap->new_size) ? -EINVAL : 0;
}

static long check(struct remap *remap) {
    int known = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;
    int flags = remap->flags;
    if ((flags & ~known) || (remap->old & ~PAGE_MASK) || !remap->new_size)
        return -EINVAL;
    if ((flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) && !(flags & MREMAP_MAYMOVE))
        return -EINVAL;
    if ((flags & MREMAP_DONTUNMAP) && remap->old_size != remap->new_size)
        return -EINVAL;
    if (!window_range_ok(remap->old, remap->old_size) || remap->new_size > SPACE_LIMIT)
        return -EINVAL;
    u32 at = list_first_after(remap->old);
    if (at == space.count || space.list[at].start > remap->old)
        return -EFAULT;
    remap->mapping = space.list[at];
    if (remap->old + remap->old_size > remap->mapping.end && remap->old_size <= remap->new_size)
        return -EFAULT;
    if (remap->mapping.kind >= MAPPING_VDSO)
        return -EINVAL;
    if (!remap->old_size && !(remap->mapping.shared && (flags & MREMAP_MAYMOVE)))
        return -EINVAL;
    return list_has_room() ? 0 : -ENOMEM;
}

/* Whether the instance's limit on memory allows it. */
static bool may_charge(const struct remap *remap) {
    gva_t target = remap->target;
    u64 more = remap->new_size, less = remap->flags & MREMAP_DONTUNMAP ? 0 : remap->old_size;
    if (remap->flags & MREMAP_FIXED)
        less += list_charged_in(target, target + remap->new_size);
    return !remap->mapping.charged || more <= less || space_may_charge(more - less);
}

static long remap_locked(struct remap *remap) {
    long error = check(remap);
    if (!error && (remap->flags & MREMAP_FIXED))
        error = check_fixed(remap);
    if (error)
        return error;
    if (!may_charge(remap))
        return -ENOMEM;
    if (remap->flags & MREMAP_FIXED)
        return move(remap);
    if (!(remap->flags & MREMAP_DONTUNMAP)) {
        if (remap->old_size == remap->new_size)
            return (long)remap->old;
        long result = remap->old_size ? grow(remap) : -ENOMEM;
        if (result != -ENOMEM || !(remap->flags & MREMAP_MAYMOVE))
            return result;
    }
    remap->target = list_find_gap(remap->new_size, MAP_LOWEST, space.map_top);
    return remap->target ? move(remap) : -ENOMEM;
}

long space_remap(gva_t old, u64 old_size, u64 new_size, int flags, gva_t target) {
    struct remap remap = {.old = old,
                          .old_size = page_up(old_size),
                          .new_size = page_up(new_size),
                          .flags = flags,
                          .target = target};
    if (remap.old_size > remap.new_size && remap.new_size && !(flags & ~(MREMAP_MAYMOVE)) &&
        !(old & ~PAGE_MASK)) {
        if (!space_all_mapped(old, remap.old_size))
            return -EFAULT;
        long error = space_unmap(old + remap.new_size, remap.old_size - remap.new_size);
        return error ? error : (long)old;
    }
    lock_take(&space.lock);
    if (remap.old_size > remap.new_size && (flags & MREMAP_FIXED))
        remap.old_size = remap.new_size; /* the tail is unmapped below */
    long result = remap_locked(&remap);
    space_settle();
    if (result >= 0 && page_up(old_size) > remap.old_size)
        space_unmap(old + remap.old_size, page_up(old_size) - remap.old_size);
    return result;
}

enum advice_treatment { ADVICE_UNKNOWN, ADVICE_PASS, ADVICE_IGNORE, ADVICE_FORK };

static enum advice_treatment treatment(int advice) {
    switch (advice) {
    case MADV_NORMAL:
    case MADV_RANDOM:
    case MADV_SEQUENTIAL:
    case MADV_WILLNEED:
    case MADV_DONTNEED:
    case MADV_FREE:
    case MADV_REMOVE:
    case MADV_HUGEPAGE:
    case MADV_NOHUGEPAGE:
    case MADV_WIPEONFORK:
    case MADV_KEEPONFORK:
    case MADV_COLD:
    case MADV_PAGEOUT:
    case MADV_POPULATE_READ:
    case MADV_POPULATE_WRITE:
    case MADV_DONTNEED_LOCKED:
    case MADV_COLLAPSE:
        return ADVICE_PASS;
    case MADV_DONTDUMP:
    case MADV_DODUMP: /* monitors are never dumped */
        return ADVICE_IGNORE;
    case MADV_DONTFORK:
    case MADV_DOFORK:
        return ADVICE_FORK;
    default: /* MADV_MERGEABLE would share pages between tenants */
        return ADVICE_UNKNOWN;
    }
}

/* Marks [start, end), which lies inside one mapping. */
static long mark_fork(gva_t start, gva_t end, bool no_fork) {
    if (!list_has_room())
        return -ENOMEM;
    list_split(start);
    list_split(end);
    space.list[list_first_after(start)].no_fork = no_fork;
    return 0;
}

long space_advise(gva_t start, u64 size, int advice) {
    enum advice_treatment what = treatment(advice);
    if (what == ADVICE_UNKNOWN || (start & ~PAGE_MASK) || page_up(size) < size ||
        !window_range_ok(start, page_up(size)))
        return -EINVAL;
    gva_t at = start, end = start + page_up(size);
    long result = 0;
    bool gap = false;
    lock_take(&space.lock);
    while (at < end && !result) {
        u32 index = list_first_after(at);
        if (index == space.count || space.list[index].start >= end) {
            gap = true;
            break;
        }
        gap |= space.list[index].start > at;
        at = max_u64(at, space.list[index].start);
        gva_t stop = min_u64(end, space.list[index].end);
        if (what == ADVICE_PASS && space.list[index].kind < MAPPING_VDSO)
            result = host(__NR_madvise, WINDOW_BASE + at, stop - at, advice);
        else if (what == ADVICE_FORK)
            result = mark_fork(at, stop, advice == MADV_DONTFORK);
        at = stop;
    }
    lock_release(&space.lock);
    return result ? result : gap ? -ENOMEM : 0;
}
