#include "mm/extent.h"

#include <linux/errno.h>

#include "base/text.h"
#include "machine/machine.h"
#include "machine/paging.h"
#include "mm/space.h"
#include "mm/window.h"

/* An extent is made larger than what is needed now, the more so the more there are: KVM's cost is
 * per slot, and unused addresses cost 0.2 % of their size. */
#define GROWTH_FIRST (32ul << 20)
#define GROWTH_LAST (256ul << 20)
#define EXTENT_LIMIT 4096
/* Removing a slot makes KVM drop every translation of the VM, so empty extents gather first. */
#define EMPTY_LIMIT (1ul << 30)

struct extent {
    gva_t start, end;
    gpa_t gpa;
    u32 slot;
};
static struct extent extents[EXTENT_LIMIT]; /* sorted by address */
static u32 extent_count;
static u64 forgotten; /* bytes unmapped since the last look for empty extents */

/* Index of the first extent that ends after `address`. */
static u32 first_after(gva_t address) {
    u32 low = 0, high = extent_count;
    while (low < high) {
        u32 middle = (low + high) / 2;
        if (extents[middle].end > address)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

bool extent_gpa(gva_t address, gpa_t *gpa) {
    u32 at = first_after(address);
    if (at == extent_count || extents[at].start > address)
        return false;
    *gpa = extents[at].gpa + (address - extents[at].start);
    return true;
}

static void remove_extent(u32 at) {
    struct extent extent = extents[at];
    paging_unmap_blocks(extent.start, extent.end - extent.start);
    slot_remove(extent.slot, extent.gpa);
    gpa_give(extent.gpa, extent.end - extent.start);
    extent_count--;
    memmove(&extents[at], &extents[at + 1], (extent_count - at) * sizeof extent);
}

static void remove_empty(void) {
    for (u32 at = extent_count; at-- > 0;)
        if (!space_any_in(extents[at].start, extents[at].end))
            remove_extent(at);
    forgotten = 0;
}

static int insert(u32 at, gva_t start, gva_t end) {
    if (extent_count == EXTENT_LIMIT)
        return -ENOMEM;
    struct extent extent = {.start = start, .end = end};
    u64 size = end - start;
    extent.gpa = gpa_take(size);
    if (!extent.gpa)
        return -ENOMEM;
    int error = slot_add(extent.gpa, size, (void *)(WINDOW_BASE + start), false, &extent.slot);
    if (!error && paging_map_blocks(start, size, extent.gpa)) {
        paging_unmap_blocks(start, size);
        slot_remove(extent.slot, extent.gpa);
        error = -ENOMEM;
    }
    if (error) {
        gpa_give(extent.gpa, size);
        return error;
    }
    memmove(&extents[at + 1], &extents[at], (extent_count - at) * sizeof extent);
    extents[at] = extent;
    extent_count++;
    space_allow_execute(start, end);
    return 0;
}

/* Backs the gap [start, end) before extents[at], enlarged to growth-aligned borders where the
 * neighbours leave room; to its bare size when that is too much. */
static int fill_gap(u32 at, gva_t start, gva_t end) {
    u64 growth = min_u64(GROWTH_FIRST << min_u64(extent_count / 4, 6), GROWTH_LAST);
    gva_t low = at > 0 ? extents[at - 1].end : 0;
    gva_t high = at < extent_count ? extents[at].start : SPACE_LIMIT;
    gva_t from = max_u64(start & ~(growth - 1), low);
    gva_t to = min_u64((end + growth - 1) & ~(growth - 1), high);
    int error = insert(at, from, to);
    if (error)
        error = insert(at, start, end);
    return error;
}

int extent_cover(gva_t start, gva_t end) {
    start = huge_down(start);
    end = huge_up(end);
    while (start < end) {
        u32 at = first_after(start);
        if (at < extent_count && extents[at].start <= start) {
            start = extents[at].end;
            continue;
        }
        gva_t stop = at < extent_count ? min_u64(end, extents[at].start) : end;
        int error = fill_gap(at, start, stop);
        if (error && forgotten) {
            remove_empty();
            error = fill_gap(first_after(start), start, stop);
        }
        if (error)
            return error;
    }
    return 0;
}

void extent_forget(gva_t start, gva_t end) {
    forgotten += end - start;
    if (forgotten > EMPTY_LIMIT)
        remove_empty();
}

int extent_refork(void) {
    for (u32 i = 0; i < extent_count; i++) {
        struct extent *extent = &extents[i];
        int error = slot_again(extent->slot, extent->gpa, extent->end - extent->start,
                               (void *)(WINDOW_BASE + extent->start), false);
        if (error)
            return error;
    }
    return 0;
}
