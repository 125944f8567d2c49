/* mmap, munmap, mprotect and brk. */
#include <linux/errno.h>
#include <linux/magic.h>
#include <linux/mman.h>
#include <linux/stat.h>

#include "base/accounts.h"
#include "base/host.h"
#include "base/text.h"
#include "machine/paging.h"
#include "mm/extent.h"
#include "mm/list.h"

#define MAP_TYPES (MAP_SHARED | MAP_PRIVATE)
/* Flags handed to the host; the others ask for nothing here (MAP_STACK, MAP_DENYWRITE, ...). */
#define MAP_PASSED                                                                                 \
    (MAP_TYPES | MAP_ANONYMOUS | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_SYNC |          \
     MAP_LOCKED)
/* Larger accessible mappings are backed piece by piece, when first touched. */
#define COVER_AT_ONCE (1ul << 30)
/* Anonymous mappings of this size ask the host for huge pages: a page fault that KVM has to serve
 * costs ten times a native one (docs/performance.md), and one 2 MiB fault replaces 512 of them. */
#define HUGE_PAGES_FROM (4ul << 20)
#define PREPARE_WRITE (1ul << 20)
#define PREPARE_OPENED (256ul << 10) /* of a reservation, by mprotect */
#define PREPARE_READ (4ul << 20)
#define FAULT_AROUND (64ul << 10)

/* What the host enforces: the guest's page tables see to execution, and x86 has no write-only
 * pages. */
static int host_prot(int prot) {
    int host = prot & (PROT_READ | PROT_WRITE);
    return prot & (PROT_WRITE | PROT_EXEC) ? host | PROT_READ : host;
}

long reserve_again(gva_t start, gva_t end) {
    return host(__NR_mmap, WINDOW_BASE + start, end - start, PROT_NONE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

void space_allow_execute(gva_t start, gva_t end) {
    for (u32 at = list_first_after(start); at < space.count && space.list[at].start < end; at++) {
        const struct mapping *mapping = &space.list[at];
        gva_t from = max_u64(start, mapping->start), to = min_u64(end, mapping->end);
        if (mapping->prot & PROT_EXEC)
            paging_allow_execute(from, to - from);
    }
}

/* After [start, end) became accessible with `prot`. */
static long back(gva_t start, gva_t end, int prot) {
    if (prot == PROT_NONE)
        return 0;
    if (end - start <= COVER_AT_ONCE) {
        long error = extent_cover(start, end);
        if (error)
            return error;
    }
    if (prot & PROT_EXEC)
        space_allow_execute(start, end);
    return 0;
}

/* Where a mapping goes. Returns an address or a negative errno. */
static long choose_place(gva_t hint, u64 size, int flags) {
    bool fixed = flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);
    if (fixed) {
        if (hint & ~PAGE_MASK)
            return -EINVAL;
        if (hint > SPACE_LIMIT || size > SPACE_LIMIT - hint)
            return -ENOMEM;
        if (hint < MAP_LOWEST)
            return -EPERM;
        if ((flags & MAP_FIXED_NOREPLACE) && space_any_in(hint, hint + size))
            return -EEXIST;
        return list_special_in(hint, hint + size) ? -EINVAL : (long)hint;
    }
    hint = page_up(hint);
    if (hint >= MAP_LOWEST && hint <= SPACE_LIMIT && size <= SPACE_LIMIT - hint &&
        !(flags & MAP_32BIT) && !space_any_in(hint, hint + size))
        return (long)hint;
    gva_t top = flags & MAP_32BIT ? 1ul << 31 : space.map_top;
    if (size >= HUGE_PAGES_FROM) {
        gva_t roomy = list_find_gap(size + HUGE_SIZE, MAP_LOWEST, top);
        if (roomy)
            return (long)huge_down(roomy + HUGE_SIZE);
    }
    gva_t place = list_find_gap(size, MAP_LOWEST, top);
    if (!place && !(flags & MAP_32BIT)) /* the stack's own area and what lies above it */
        place = list_find_gap(size, MAP_LOWEST, SPACE_LIMIT);
    return place ? (long)place : -ENOMEM;
}

/* Thread stacks and sparse reservations would only waste memory on huge pages. */
static bool wants_huge_pages(u64 size, int prot, int flags) {
    return size >= HUGE_PAGES_FROM && (prot & PROT_WRITE) && (flags & MAP_ANONYMOUS) &&
           (flags & MAP_TYPE) == MAP_PRIVATE && !(flags & (MAP_STACK | MAP_NORESERVE));
}

/* A file may be mapped executable only where its file system allows running programs, and one of
 * huge pages not at all: the host maps more of it than was asked for. */
static long check_file(int fd, int prot) {
    struct {
        long type, bsize;
        u64 blocks, bfree, bavail, files, ffree;
        int fsid[2];
        long namelen, frsize, flags, spare[4];
    } status;
    if (host(__NR_fstatfs, fd, &status))
        return 0; /* mmap will say why not */
    if (status.type == HUGETLBFS_MAGIC)
        return -ENOMEM;
    return (prot & PROT_EXEC) && (status.flags & 8 /* ST_NOEXEC */) ? -EPERM : 0;
}

static long check_map(u64 size, int prot, int flags, int fd, u64 offset) {
    u32 type = flags & MAP_TYPE;
    if (!size || (offset & ~PAGE_MASK) || type == 0 || type > MAP_SHARED_VALIDATE)
        return -EINVAL;
    if (page_up(size) < size || page_up(size) > SPACE_LIMIT)
        return -ENOMEM;
    if (flags & MAP_HUGETLB)
        return -ENOMEM; /* as on a host that has none set aside */
    long refused = flags & MAP_ANONYMOUS ? 0 : check_file(fd, prot);
    if (refused)
        return refused;
    return list_has_room() ? 0 : -ENOMEM;
}

/* Makes the pages of a new mapping of a file present. The host maps the neighbours, which it has
 * read already, of a page that is touched for reading (fault-around, 64 KiB unless it was told
 * otherwise). */
static void touch_pages(gva_t start, u64 size, bool write) {
    for (gva_t at = start; at < start + size; at += write ? PAGE_SIZE : FAULT_AROUND)
        if (touch_guest(at, write))
            return;
}

/* A page fault that KVM has to serve costs ten times a native one (docs/performance.md). What a
 * program is about to touch anyway is therefore made present at once, where that wastes little: KVM
 * then maps eight neighbours with one fault. Failure does no harm. Private file pages are copied
 * early only for program loaders (MAP_DENYWRITE): others may watch the file through them until they
 * write. */
static void prepare_pages(gva_t at, u64 size, int prot, int flags) {
    bool private = (flags & MAP_TYPE) == MAP_PRIVATE;
    bool anonymous = flags & MAP_ANONYMOUS;
    if (wants_huge_pages(size, prot, flags))
        host(__NR_madvise, WINDOW_BASE + at, size, MADV_HUGEPAGE);
    else if (!private || (flags & (MAP_STACK | MAP_NORESERVE)) || prot == PROT_NONE)
        return;
    else if (anonymous && (prot & PROT_WRITE) && size <= PREPARE_WRITE)
        host(__NR_madvise, WINDOW_BASE + at, size, MADV_POPULATE_WRITE);
    else if ((prot & PROT_WRITE) && (flags & MAP_DENYWRITE) && size <= PREPARE_WRITE)
        touch_pages(at, size, true);
    else if (!(prot & PROT_WRITE) && !anonymous && size <= PREPARE_READ)
        touch_pages(at, size, false);
}

static long map_host(gva_t place, u64 size, int prot, int flags, int fd, u64 offset, bool fresh) {
    bool nothing = prot == PROT_NONE && (flags & MAP_ANONYMOUS) &&
                   (flags & MAP_TYPE) == MAP_PRIVATE && !(flags & MAP_LOCKED);
    if (nothing) /* the reservation serves */
        return fresh ? (long)place : reserve_again(place, place + size);
    int passed = flags & MAP_PASSED;
    if ((flags & MAP_TYPE) == MAP_SHARED_VALIDATE) /* the host refuses what it does not know */
        passed = flags & ~(MAP_FIXED_NOREPLACE | MAP_32BIT);
    long result =
        host(__NR_mmap, WINDOW_BASE + place, size, host_prot(prot), passed | MAP_FIXED, fd, offset);
    if (!host_failed(result))
        prepare_pages(place, size, prot, flags);
    return result;
}

bool space_may_charge(u64 more) {
    return account_may_grow(space.charged, more);
}

void space_settle(void) {
    account_memory(space.charged);
    lock_release(&space.lock);
}

void space_refork(void) {
    for (u32 at = space.count; at-- > 0;) {
        struct mapping mapping = space.list[at];
        if (!mapping.no_fork)
            continue;
        reserve_again(mapping.start, mapping.end);
        list_carve(mapping.start, mapping.end);
    }
}

static long map_locked(gva_t hint, u64 size, int prot, int flags, int fd, u64 offset,
                       enum mapping_kind kind) {
    prot &= PROT_READ | PROT_WRITE | PROT_EXEC;
    long place = check_map(size, prot, flags, fd, offset);
    if (!place)
        place = choose_place(hint, page_up(size), flags);
    if (place < 0)
        return place;
    gva_t start = (gva_t)place, end = start + page_up(size);
    struct mapping mapping = {.start = start,
                              .end = end,
                              .prot = (u8)prot,
                              .kind = (u8)kind,
                              .shared = (flags & MAP_TYPE) != MAP_PRIVATE,
                              .stack = kind == MAPPING_STACK || (flags & MAP_STACK)};
    mapping.charged = list_is_charged(&mapping, prot);
    if (mapping.charged && !space_may_charge(end - start - list_charged_in(start, end)))
        return -ENOMEM;
    bool fresh = !space_any_in(start, end);
    long result = map_host(start, end - start, prot, flags, fd, offset, fresh);
    if (host_failed(result)) {
        /* Linux may have unmapped what was there already. */
        if (!fresh) {
            reserve_again(start, end);
            list_carve(start, end);
        }
        return result;
    }
    if (!fresh)
        list_carve(start, end);
    list_add(mapping);
    long error = back(start, end, prot);
    if (error) {
        reserve_again(start, end);
        list_carve(start, end);
        return error;
    }
    return place;
}

long space_map(gva_t hint, u64 size, int prot, int flags, int fd, u64 offset,
               enum mapping_kind kind) {
    lock_take(&space.lock);
    long result = map_locked(hint, size, prot, flags, fd, offset, kind);
    space_settle();
    return result;
}

bool space_lacks_page(gva_t address, bool write) {
    lock_take(&space.lock);
    u32 at = list_first_after(address);
    bool allowed = at < space.count && space.list[at].start <= address &&
                   (write ? space.list[at].prot & PROT_WRITE : space.list[at].prot != PROT_NONE);
    bool lacks = allowed && touch_guest(address, write);
    lock_release(&space.lock);
    return lacks;
}

#define STACK_STEP (64ul << 10)

bool space_grow_stack(gva_t address, u64 limit) {
    lock_take(&space.lock);
    u32 at = list_first_after(address);
    bool grown = false;
    if (at < space.count && space.list[at].kind == MAPPING_STACK) {
        struct mapping stack = space.list[at];
        gva_t lowest = stack.end - min_u64(limit, stack.end);
        gva_t floor = at > 0 ? space.list[at - 1].end + STACK_GUARD : MAP_LOWEST;
        gva_t start = max_u64(address & ~(STACK_STEP - 1), page_up(max_u64(lowest, floor)));
        int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
        grown = start <= address && start < stack.start &&
                map_locked(start, stack.start - start, stack.prot, flags, -1, 0, MAPPING_STACK) ==
                    (long)start;
    }
    lock_release(&space.lock);
    return grown;
}

static long unmap_locked(gva_t start, u64 size) {
    if ((start & ~PAGE_MASK) || !size || start > WINDOW_SIZE || size > WINDOW_SIZE - start)
        return -EINVAL;
    gva_t end = start + page_up(size);
    if (!space_any_in(start, end))
        return 0;
    if (list_special_in(start, end))
        return -EINVAL;
    if (!list_has_room())
        return -ENOMEM;
    long result = reserve_again(start, end);
    if (host_failed(result))
        return result;
    u64 before = space.mapped;
    list_carve(start, end);
    extent_forget(start, start + (before - space.mapped));
    return 0;
}

long space_unmap(gva_t start, u64 size) {
    lock_take(&space.lock);
    long result = unmap_locked(start, size);
    space_settle();
    return result;
}

/* One mapping's part of an mprotect. */
static long protect_piece(gva_t start, gva_t end, int prot) {
    const struct mapping old = space.list[list_first_after(start)];
    bool opened = old.prot == PROT_NONE && old.kind == MAPPING_ANONYMOUS && !old.shared;
    bool charged = list_is_charged(&old, prot);
    if (charged && !old.charged && !space_may_charge(end - start))
        return -ENOMEM;
    long result = host(__NR_mprotect, WINDOW_BASE + start, end - start, host_prot(prot));
    if (result)
        return result;
    list_split(start);
    list_split(end);
    for (u32 at = list_first_after(start); at < space.count && space.list[at].start < end; at++) {
        space.list[at].prot = (u8)prot;
        list_charge(&space.list[at], charged);
    }
    if (opened && (prot & PROT_WRITE) && end - start <= PREPARE_OPENED)
        host(__NR_madvise, WINDOW_BASE + start, end - start, MADV_POPULATE_WRITE);
    return back(start, end, prot);
}

static long protect_locked(gva_t start, u64 size, int prot) {
    gva_t end = start + page_up(size);
    bool grows_down = prot & PROT_GROWSDOWN;
    if ((start & ~PAGE_MASK) ||
        (prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM | PROT_GROWSDOWN)))
        return -EINVAL; /* no stack grows up here */
    if (!size)
        return 0;
    if (start > WINDOW_SIZE || page_up(size) < size || end > WINDOW_SIZE || end < start)
        return -ENOMEM;
    if (list_special_in(start, end))
        return -EACCES;
    if (grows_down) {
        u32 first = list_first_after(start);
        if (first == space.count || space.list[first].start >= end)
            return -ENOMEM;
        if (space.list[first].kind != MAPPING_STACK)
            return -EINVAL;
        start = space.list[first].start;
    }
    prot &= PROT_READ | PROT_WRITE | PROT_EXEC;
    gva_t at = start;
    long result = 0;
    while (at < end && !result) {
        u32 index = list_first_after(at);
        if (index == space.count || space.list[index].start > at || !list_has_room()) {
            result = -ENOMEM;
            break;
        }
        gva_t stop = min_u64(end, space.list[index].end);
        result = protect_piece(at, stop, prot);
        at = stop;
    }
    list_merge_around(start, end);
    return result;
}

long space_protect(gva_t start, u64 size, int prot) {
    lock_take(&space.lock);
    long result = protect_locked(start, size, prot);
    space_settle();
    return result;
}

void space_set_break(gva_t start) {
    space.break_start = space.break_end = page_up(start);
}

gva_t space_break(gva_t end) {
    lock_take(&space.lock);
    gva_t old = page_up(space.break_end), new = page_up(end);
    bool ok = end >= space.break_start && end < SPACE_LIMIT;
    if (ok && new > old)
        ok = map_locked(old, new - old, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0,
                        MAPPING_HEAP) == (long)old;
    else if (ok && new < old)
        ok = unmap_locked(new, old - new) == 0;
    if (ok)
        space.break_end = end;
    end = space.break_end;
    space_settle();
    return end;
}
