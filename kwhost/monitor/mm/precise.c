/* Precise page tables: the answer to KVM's address-less EFAULT (kvm-facts.md). The instruction that
 * failed is run again under tables that say exactly what is mapped, and raises #PF with the
 * address. */
#include <linux/mman.h>

#include "machine/layout.h"
#include "machine/paging.h"
#include "mm/extent.h"
#include "mm/list.h"

static u64 entry_bits(const struct mapping *mapping) {
    u64 bits = PTE_PRESENT | PTE_USER | PTE_ACCESSED | PTE_DIRTY;
    if (mapping->prot & PROT_WRITE)
        bits |= PTE_WRITE;
    if (!(mapping->prot & PROT_EXEC))
        bits |= PTE_NO_EXECUTE;
    return bits;
}

static int mirror_range(gpa_t top, const struct mapping *mapping, gva_t start, gva_t end) {
    u64 bits = entry_bits(mapping);
    while (start < end) {
        gpa_t gpa;
        bool backed = extent_gpa(start, &gpa);
        bool block = !(start & ~HUGE_MASK) && end - start >= HUGE_SIZE;
        if (backed && block && paging_map_block(top, start, gpa, bits))
            return -1;
        if (backed && !block && paging_map_page(top, start, gpa, bits))
            return -1;
        if (!backed) /* extents are made of whole blocks */
            start = huge_down(start) + HUGE_SIZE;
        else
            start += block ? HUGE_SIZE : PAGE_SIZE;
    }
    return 0;
}

static int mirror(gpa_t top, const gva_t *known, u32 known_count) {
    for (u32 at = 0; at < space.count; at++) {
        const struct mapping *mapping = &space.list[at];
        bool mirrored = mapping->prot != PROT_NONE && !mapping->shared &&
                        mapping->kind != MAPPING_FILE && mapping->kind < MAPPING_VDSO;
        if (mirrored && mirror_range(top, mapping, mapping->start, mapping->end))
            return -1;
    }
    for (u32 i = 0; i < known_count; i++) {
        u32 at = list_first_after(known[i]);
        if (at < space.count && space.list[at].start <= known[i] &&
            space.list[at].prot != PROT_NONE &&
            mirror_range(top, &space.list[at], known[i], known[i] + PAGE_SIZE))
            return -1;
    }
    paging_copy_top(top, KERNEL_BASE);
    return space.vdso ? paging_copy_block(top, space.vdso) : 0;
}

u32 precise_users;

gpa_t space_precise_tables(const gva_t *known, u32 known_count) {
    gpa_t top = 0;
    lock_take(&space.lock);
    if (!table_scratch_begin(__atomic_load_n(&precise_users, __ATOMIC_SEQ_CST) == 0)) {
        if (!table_page(&top) || mirror(top, known, known_count))
            top = 0;
        else
            __atomic_fetch_add(&precise_users, 1, __ATOMIC_SEQ_CST);
        table_scratch_end();
    }
    lock_release(&space.lock);
    return top;
}

bool space_back_page(gva_t address) {
    bool backed = false;
    gpa_t gpa;
    lock_take(&space.lock);
    u32 at = list_first_after(address);
    if (at < space.count && space.list[at].start <= address && !extent_gpa(address, &gpa)) {
        gva_t start = max_u64(space.list[at].start, address & ~((1ul << 30) - 1));
        gva_t end = min_u64(space.list[at].end, start + (1ul << 30));
        backed = extent_cover(start, end) == 0 ||
                 extent_cover(address, min_u64(address + HUGE_SIZE, space.list[at].end)) == 0;
    }
    lock_release(&space.lock);
    return backed;
}
