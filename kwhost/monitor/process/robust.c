#include "process/robust.h"

#include <linux/futex.h>

#include "base/host.h"
#include "mm/window.h"

/* Atomic compare-and-swap on guest memory that may be gone: copy.S. Returns 0, 1 (differs) or
 * -EFAULT. */
extern long guest_compare_swap(void *word, u32 expected, u32 desired);

struct list_head_guest {
    gva_t next;
    s64 futex_offset;
    gva_t pending;
};

/* Linux' handle_futex_death: a futex held by this thread becomes "owner died". */
static bool release_one(struct thread *thread, gva_t address, bool priority_inheriting,
                        bool pending) {
    if (address & 3)
        return false;
    for (u32 attempt = 0; attempt < 1000; attempt++) {
        u32 value;
        if (get_guest(value, address))
            return false;
        if (pending && !priority_inheriting && !value) {
            host(__NR_futex, window_ptr(address), FUTEX_WAKE, 1);
            return true;
        }
        if ((value & FUTEX_TID_MASK) != (u32)thread->kernel_tid)
            return true;
        u32 dead = (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
        long swapped = guest_compare_swap(window_ptr(address), value, dead);
        if (swapped < 0)
            return false;
        if (swapped > 0)
            continue;
        if (!priority_inheriting && (value & FUTEX_WAITERS))
            host(__NR_futex, window_ptr(address), FUTEX_WAKE, 1);
        return true;
    }
    return false;
}

void robust_release(struct thread *thread) {
    struct list_head_guest head;
    gva_t list = thread->robust_head;
    thread->robust_head = 0;
    if (!list || copy_from_guest(&head, list, sizeof head))
        return;
    gva_t pending = head.pending & ~1ul;
    gva_t entry = head.next;
    for (u32 i = 0; i < ROBUST_LIST_LIMIT && (entry & ~1ul) != list; i++) {
        gva_t node = entry & ~1ul, next;
        bool fetched = !get_guest(next, node);
        if (node != pending &&
            !release_one(thread, node + (u64)head.futex_offset, entry & 1, false))
            return;
        if (!fetched)
            return;
        entry = next;
    }
    if (pending)
        release_one(thread, pending + (u64)head.futex_offset, head.pending & 1, true);
}
