/* Guest-physical addresses are only names for extents: a bump pointer and a short list of returned
 * ranges, kept sorted and merged, are enough. Callers hold the space's lock, or are alone. */
#include "base/text.h"
#include "machine/machine.h"

#define GPA_FIRST HUGE_SIZE /* address 0 stays unused: it means "none" */
#define FREE_LIMIT 512

struct range {
    gpa_t start, end;
};
static struct range free_ranges[FREE_LIMIT];
static u32 free_count;
static gpa_t next_gpa = GPA_FIRST;

static void remove_range(u32 at) {
    free_count--;
    memmove(&free_ranges[at], &free_ranges[at + 1], (free_count - at) * sizeof(struct range));
}

gpa_t gpa_take(u64 size) {
    size = huge_up(size);
    for (u32 i = 0; i < free_count; i++) {
        struct range *range = &free_ranges[i];
        if (range->end - range->start < size)
            continue;
        gpa_t gpa = range->start;
        range->start += size;
        if (range->start == range->end)
            remove_range(i);
        return gpa;
    }
    gpa_t limit = 1ul << machine_gpa_bits();
    if (size > limit || next_gpa > limit - size)
        return 0;
    gpa_t gpa = next_gpa;
    next_gpa += size;
    return gpa;
}

void gpa_give(gpa_t gpa, u64 size) {
    gpa_t end = gpa + huge_up(size);
    u32 at = 0;
    while (at < free_count && free_ranges[at].start < gpa)
        at++;
    if (at < free_count && free_ranges[at].start == end) {
        free_ranges[at].start = gpa;
    } else if (at > 0 && free_ranges[at - 1].end == gpa) {
        free_ranges[at - 1].end = end;
        return;
    } else if (free_count < FREE_LIMIT) {
        memmove(&free_ranges[at + 1], &free_ranges[at], (free_count - at) * sizeof(struct range));
        free_ranges[at] = (struct range){gpa, end};
        free_count++;
    }
    if (at > 0 && free_ranges[at - 1].end == free_ranges[at].start) {
        free_ranges[at - 1].end = free_ranges[at].end;
        remove_range(at);
    }
    if (free_count > 0 && free_ranges[free_count - 1].end == next_gpa)
        next_gpa = free_ranges[--free_count].start;
}
