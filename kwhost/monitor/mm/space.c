/* The list of mappings, and where new ones go. */
#include "mm/space.h"

#include <linux/errno.h>
#include <linux/mman.h>

#include "base/host.h"
#include "base/text.h"
#include "mm/extent.h"
#include "mm/list.h"

struct space space;

static u64 random_below(u64 limit) {
    u64 value = 0;
    host(__NR_getrandom, &value, sizeof value, 0);
    return value % limit;
}

int space_start(void) {
    int error = window_reserve();
    if (error)
        return error;
    long list = host(__NR_mmap, 0, page_up(MAPPING_LIMIT * sizeof(struct mapping)),
                     PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (host_failed(list))
        return (int)list;
    space.list = (struct mapping *)list;
    space.stack_top = SPACE_LIMIT - PAGE_SIZE * random_below(1ul << 22);
    space.program_base = huge_down(WINDOW_SIZE / 3 * 2) + HUGE_SIZE * random_below(1ul << 15);
    space_set_stack_size(8ul << 20);
    return 0;
}

void space_set_stack_size(u64 size) {
    /* As on Linux, a larger limit set later finds room to grow into. */
    u64 room = max_u64(page_up(size), STACK_ROOM) + STACK_GUARD;
    space.map_top = space.stack_top - room - PAGE_SIZE * random_below(256);
}

gva_t space_program_base(void) {
    return space.program_base;
}

gva_t space_stack_top(void) {
    return space.stack_top;
}

void space_lock_all(void) {
    lock_take(&space.lock);
}

void space_unlock_all(void) {
    lock_release(&space.lock);
}

u64 space_size(void) {
    return space.mapped;
}

u64 space_charged(void) {
    return space.charged;
}

u64 space_data(gva_t start, gva_t end, bool opened) {
    u64 bytes = 0;
    lock_take(&space.lock);
    for (u32 at = list_first_after(start); at < space.count && space.list[at].start < end; at++) {
        const struct mapping *mapping = &space.list[at];
        if ((opened || (mapping->prot & PROT_WRITE)) && !mapping->shared &&
            mapping->kind != MAPPING_STACK && mapping->kind < MAPPING_VDSO)
            bytes += min_u64(end, mapping->end) - max_u64(start, mapping->start);
    }
    lock_release(&space.lock);
    return bytes;
}

u32 list_first_after(gva_t address) {
    u32 low = 0, high = space.count;
    while (low < high) {
        u32 middle = (low + high) / 2;
        if (space.list[middle].end > address)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void list_remove(u32 at, u32 count) {
    space.count -= count;
    memmove(&space.list[at], &space.list[at + count], (space.count - at) * sizeof(struct mapping));
}

static void list_insert(u32 at, struct mapping mapping) {
    memmove(&space.list[at + 1], &space.list[at], (space.count - at) * sizeof(struct mapping));
    space.list[at] = mapping;
    space.count++;
}

void list_split(gva_t address) {
    u32 at = list_first_after(address);
    if (at == space.count || space.list[at].start >= address)
        return;
    struct mapping rest = space.list[at];
    rest.start = address;
    space.list[at].end = address;
    list_insert(at + 1, rest);
}

void list_carve(gva_t start, gva_t end) {
    list_split(start);
    list_split(end);
    u32 from = list_first_after(start), to = from;
    while (to < space.count && space.list[to].start < end) {
        space.mapped -= space.list[to].end - space.list[to].start;
        list_charge(&space.list[to], false);
        to++;
    }
    list_remove(from, to - from);
}

static bool mergeable(const struct mapping *a, const struct mapping *b) {
    return a->end == b->start && a->prot == b->prot && a->kind == b->kind &&
           a->shared == b->shared && a->no_fork == b->no_fork && a->stack == b->stack &&
           a->charged == b->charged;
}

void list_merge_around(gva_t start, gva_t end) {
    u32 at = list_first_after(start ? start - 1 : 0);
    while (at + 1 < space.count && space.list[at].end <= end) {
        if (mergeable(&space.list[at], &space.list[at + 1])) {
            space.list[at].end = space.list[at + 1].end;
            list_remove(at + 1, 1);
        } else {
            at++;
        }
    }
}

void list_add(struct mapping mapping) {
    list_insert(list_first_after(mapping.start), mapping);
    space.mapped += mapping.end - mapping.start;
    space.charged += mapping.charged ? mapping.end - mapping.start : 0;
    list_merge_around(mapping.start, mapping.end);
}

bool list_has_room(void) {
    return space.count + 4 < MAPPING_LIMIT;
}

bool space_any_in(gva_t start, gva_t end) {
    u32 at = list_first_after(start);
    return at < space.count && space.list[at].start < end;
}

static bool all_mapped(gva_t start, gva_t end) {
    for (u32 at = list_first_after(start); start < end; at++) {
        if (at == space.count || space.list[at].start > start)
            return false;
        start = space.list[at].end;
    }
    return true;
}

bool list_is_charged(const struct mapping *mapping, int prot) {
    if (mapping->shared || mapping->stack || prot == PROT_NONE)
        return false;
    return mapping->charged || (prot & PROT_WRITE);
}

u64 list_charged_in(gva_t start, gva_t end) {
    u64 bytes = 0;
    for (u32 at = list_first_after(start); at < space.count && space.list[at].start < end; at++)
        if (space.list[at].charged)
            bytes += min_u64(end, space.list[at].end) - max_u64(start, space.list[at].start);
    return bytes;
}

void list_charge(struct mapping *mapping, bool charged) {
    u64 bytes = mapping->end - mapping->start;
    if (charged && !mapping->charged)
        space.charged += bytes;
    else if (!charged && mapping->charged)
        space.charged -= bytes;
    mapping->charged = charged;
}

bool list_special_in(gva_t start, gva_t end) {
    for (u32 at = list_first_after(start); at < space.count && space.list[at].start < end; at++)
        if (space.list[at].kind >= MAPPING_VDSO)
            return true;
    return false;
}

gva_t list_find_gap(u64 size, gva_t low, gva_t high) {
    gva_t top = high;
    for (u32 at = list_first_after(high ? high - 1 : 0) + 1; at-- > 0;) {
        if (at == space.count)
            continue;
        const struct mapping *mapping = &space.list[at];
        if (mapping->end <= top && top - mapping->end >= size)
            break;
        top = min_u64(top, mapping->start);
        if (top < low + size)
            return 0;
    }
    return top >= low + size ? top - size : 0;
}

bool space_find(gva_t address, struct mapping *found) {
    lock_take(&space.lock);
    u32 at = list_first_after(address);
    bool ok = at < space.count && space.list[at].start <= address;
    if (ok)
        *found = space.list[at];
    lock_release(&space.lock);
    return ok;
}

void space_each(void (*each)(const struct mapping *mapping, void *context), void *context) {
    lock_take(&space.lock);
    for (u32 at = 0; at < space.count; at++)
        each(&space.list[at], context);
    lock_release(&space.lock);
}

bool space_all_mapped(gva_t start, u64 size) {
    lock_take(&space.lock);
    bool all = all_mapped(start, start + size);
    lock_release(&space.lock);
    return all;
}
