/* Mapping the segments of a checked ELF image (process/load.h). One thread runs in the space. */
#include "process/load.h"

#include <linux/mman.h>

#include "base/host.h"
#include "mm/space.h"
#include "mm/window.h"

#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS)

static int segment_prot(const Elf64_Phdr *segment) {
    u32 flags = segment->p_flags;
    return (flags & PF_R ? PROT_READ : 0) | (flags & PF_W ? PROT_WRITE : 0) |
           (flags & PF_X ? PROT_EXEC : 0);
}

/* Finds room for the whole span by reserving it and giving it back: nobody else maps meanwhile. */
static long find_room(const struct elf_image *image, gva_t wanted, gva_t *base) {
    u64 span = image->high - image->low;
    u64 slack = 0;
    int flags = ANONYMOUS | MAP_NORESERVE;
    if (image->fixed) {
        wanted = image->low;
        flags |= MAP_FIXED_NOREPLACE;
    } else if (wanted) {
        wanted = (wanted & ~(image->align - 1)) + (image->low & (image->align - 1));
        flags |= MAP_FIXED_NOREPLACE;
    } else {
        slack = image->align - PAGE_SIZE;
    }
    if (span + slack < span || span + slack > WINDOW_SIZE)
        return -ENOMEM;
    long found = space_map(wanted, span + slack, PROT_NONE, flags, -1, 0, MAPPING_ANONYMOUS);
    if (host_failed(found))
        return found;
    long result = space_unmap((gva_t)found, span + slack);
    if (result < 0)
        return result;
    /* A multiple of the alignment, so that addresses keep theirs; may wrap below zero. */
    *base = ((gva_t)found - image->low + image->align - 1) & ~(image->align - 1);
    return 0;
}

/* The part of a segment that is not in the file: the tail of its last file page, then fresh pages.
 */
static long map_zeros(const Elf64_Phdr *segment, gva_t base, int prot) {
    gva_t start = base + segment->p_vaddr + segment->p_filesz;
    gva_t end = page_up(base + segment->p_vaddr + segment->p_memsz);
    gva_t fresh = segment->p_filesz ? page_up(start) : page_down(start);
    if (fresh != start && segment->p_filesz && (prot & PROT_WRITE)) {
        long result = zero_guest(start, fresh - start);
        if (result < 0)
            return result;
    }
    if (fresh >= end)
        return 0;
    /* Writable whatever the segment says, as on Linux. */
    int fresh_prot = PROT_READ | PROT_WRITE | (prot & PROT_EXEC);
    long result =
        space_map(fresh, end - fresh, fresh_prot, ANONYMOUS | MAP_FIXED, -1, 0, MAPPING_ANONYMOUS);
    return host_failed(result) ? result : 0;
}

static long map_segment(const Elf64_Phdr *segment, gva_t base, int fd) {
    int prot = segment_prot(segment);
    gva_t address = base + segment->p_vaddr;
    if (segment->p_filesz) {
        u64 lead = address & ~PAGE_MASK;
        long result =
            space_map(address - lead, page_up(segment->p_filesz + lead), prot,
                      MAP_PRIVATE | MAP_FIXED, fd, segment->p_offset - lead, MAPPING_FILE);
        if (host_failed(result))
            return result;
    }
    return segment->p_memsz > segment->p_filesz ? map_zeros(segment, base, prot) : 0;
}

long load_segments(const struct elf_image *image, const Elf64_Phdr *table, u32 count, int fd,
                   gva_t wanted, gva_t *base) {
    long result = find_room(image, wanted, base);
    for (u32 i = 0; i < count && result == 0; i++)
        if (table[i].p_type == PT_LOAD)
            result = map_segment(&table[i], *base, fd);
    return result;
}
