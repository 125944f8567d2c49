#include "machine/paging.h"

#include <linux/errno.h>
#include <linux/mman.h>

#include "base/host.h"
#include "base/text.h"
#include "machine/machine.h"

/* Memory for tables comes in chunks, each a memory slot; the first is enough for most programs. */
#define CHUNK_FIRST HUGE_SIZE
#define CHUNK_LIMIT 24

struct chunk {
    gpa_t gpa;
    u64 size;
    u64 used;
    u8 *memory;
    u32 slot;
};
static struct chunk chunks[CHUNK_LIMIT];
static u32 chunk_count;
static gpa_t top_table;

/* The precise tables' pages. Software KVM would not see a table page change its content, so each
 * set is made of untouched pages, and when they are used up the slot is replaced. */
#define SCRATCH_TABLES (32ul << 20)
static struct chunk scratch;
static bool scratch_mode;

static int make_chunk(struct chunk *chunk, u64 size) {
    gpa_t gpa = gpa_take(size);
    if (!gpa)
        return -ENOMEM;
    long at = host(__NR_mmap, 0, size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (host_failed(at)) {
        gpa_give(gpa, size);
        return (int)at;
    }
    *chunk = (struct chunk){.gpa = gpa, .size = size, .memory = (u8 *)at};
    int error = slot_add(gpa, size, chunk->memory, false, &chunk->slot);
    if (error) {
        host(__NR_munmap, at, size);
        gpa_give(gpa, size);
        *chunk = (struct chunk){0};
    }
    return error;
}

static void *host_in(const struct chunk *chunk, gpa_t gpa) {
    return gpa >= chunk->gpa && gpa - chunk->gpa < chunk->size ? chunk->memory + (gpa - chunk->gpa)
                                                               : NULL;
}

void *table_host(gpa_t gpa) {
    for (u32 i = 0; i < chunk_count; i++) {
        void *page = host_in(&chunks[i], gpa);
        if (page)
            return page;
    }
    return host_in(&scratch, gpa);
}

static void *take_from(struct chunk *chunk, gpa_t *gpa) {
    if (chunk->used == chunk->size)
        return NULL;
    *gpa = chunk->gpa + chunk->used;
    chunk->used += PAGE_SIZE;
    return chunk->memory + (*gpa - chunk->gpa);
}

void *table_page(gpa_t *gpa) {
    if (scratch_mode)
        return take_from(&scratch, gpa);
    void *page = chunk_count ? take_from(&chunks[chunk_count - 1], gpa) : NULL;
    if (page)
        return page;
    u64 size = CHUNK_FIRST << (chunk_count < 5 ? chunk_count : 5);
    if (chunk_count == CHUNK_LIMIT || make_chunk(&chunks[chunk_count], size))
        return NULL;
    return take_from(&chunks[chunk_count++], gpa);
}

bool table_scratch_low(void) {
    return scratch.used > scratch.size / 2;
}

int table_scratch_begin(bool unused) {
    int error = 0;
    if (!scratch.memory) {
        error = make_chunk(&scratch, SCRATCH_TABLES);
    } else if (table_scratch_low() && unused) {
        error = slot_remove(scratch.slot, scratch.gpa);
        host(__NR_madvise, scratch.memory, scratch.size, MADV_DONTNEED);
        scratch.used = 0;
        if (!error)
            error = slot_add(scratch.gpa, scratch.size, scratch.memory, false, &scratch.slot);
    }
    scratch_mode = !error;
    return error;
}

void table_scratch_end(void) {
    scratch_mode = false;
}

gpa_t paging_top(void) {
    return top_table;
}

int paging_start(void) {
    return table_page(&top_table) ? 0 : -ENOMEM;
}

/* The table that `entry` points to, made when absent. Rights are granted in the leaves alone. */
static u64 *descend(u64 *entry) {
    if (!(*entry & PTE_PRESENT)) {
        gpa_t gpa;
        if (!table_page(&gpa))
            return NULL;
        *entry = gpa | PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED;
    }
    return table_host(*entry & PTE_ADDRESS);
}

/* The level 2 (page directory) entry for an address, tables above made when absent. */
static u64 *block_entry(gpa_t top, gva_t address) {
    u64 *level4 = table_host(top);
    u64 *level3 = descend(&level4[(address >> 39) & 511]);
    u64 *level2 = level3 ? descend(&level3[(address >> 30) & 511]) : NULL;
    return level2 ? &level2[(address >> 21) & 511] : NULL;
}

int paging_map_block(gpa_t top, gva_t address, gpa_t gpa, u64 bits) {
    u64 *entry = block_entry(top, address);
    if (!entry)
        return -ENOMEM;
    *entry = gpa | bits | PTE_HUGE;
    return 0;
}

int paging_map_page(gpa_t top, gva_t address, gpa_t gpa, u64 bits) {
    u64 *entry = block_entry(top, address);
    u64 *level1 = entry ? descend(entry) : NULL;
    if (!level1)
        return -ENOMEM;
    level1[(address >> 12) & 511] = gpa | bits;
    return 0;
}

int paging_map_blocks(gva_t address, u64 size, gpa_t gpa) {
    u64 bits = PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED | PTE_DIRTY | PTE_NO_EXECUTE;
    for (u64 offset = 0; offset < size; offset += HUGE_SIZE)
        if (paging_map_block(top_table, address + offset, gpa + offset, bits))
            return -ENOMEM;
    return 0;
}

/* Tables of blocks that are gone: KVM has dropped what it knew of them with their slot. */
static gpa_t spare_tables[64];
static u32 spare_count;

void paging_unmap_blocks(gva_t address, u64 size) {
    for (u64 offset = 0; offset < size; offset += HUGE_SIZE) {
        u64 *entry = block_entry(top_table, address + offset);
        if (!entry)
            continue;
        if ((*entry & PTE_PRESENT) && !(*entry & PTE_HUGE) &&
            spare_count < array_size(spare_tables))
            spare_tables[spare_count++] = *entry & PTE_ADDRESS;
        *entry = 0;
    }
}

/* Replaces a block's entry by a table of 4 KiB entries that say the same. */
static u64 *split_block(u64 *entry) {
    gpa_t table = spare_count ? spare_tables[--spare_count] : 0;
    if (!table && !table_page(&table))
        return NULL;
    u64 *level1 = table_host(table), bits = *entry & ~PTE_ADDRESS & ~PTE_HUGE;
    for (u32 i = 0; i < 512; i++)
        level1[i] = ((*entry & PTE_ADDRESS) + i * PAGE_SIZE) | bits;
    *entry = table | PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED;
    return level1;
}

/* Clears the no-execute bit for [from, to), which lies in the block of `entry`. */
static void allow_in_block(u64 *entry, gva_t from, gva_t to) {
    u64 *level1 = table_host(*entry & PTE_ADDRESS);
    if (*entry & PTE_HUGE) {
        bool whole = to - from == HUGE_SIZE;
        level1 = whole || !(*entry & PTE_NO_EXECUTE) ? NULL : split_block(entry);
        if (!level1) { /* all of it, or no memory for a table: then more than asked */
            *entry &= ~PTE_NO_EXECUTE;
            return;
        }
    }
    for (gva_t at = from; at < to; at += PAGE_SIZE)
        level1[(at >> 12) & 511] &= ~PTE_NO_EXECUTE;
}

void paging_allow_execute(gva_t address, u64 size) {
    gva_t end = address + size;
    while (address < end) {
        gva_t stop = min_u64(huge_down(address) + HUGE_SIZE, end);
        u64 *entry = block_entry(top_table, address);
        if (entry && (*entry & PTE_PRESENT))
            allow_in_block(entry, address, stop);
        address = stop;
    }
}

void paging_each_chunk(int (*each)(gpa_t gpa, u64 size, void *memory, u32 slot, void *context),
                       void *context) {
    for (u32 i = 0; i < chunk_count; i++)
        if (each(chunks[i].gpa, chunks[i].size, chunks[i].memory, chunks[i].slot, context))
            return;
    if (scratch.memory)
        each(scratch.gpa, scratch.size, scratch.memory, scratch.slot, context);
}

void paging_copy_top(gpa_t top, gva_t address) {
    u64 *from = table_host(top_table), *to = table_host(top);
    u32 index = (address >> 39) & 511;
    to[index] = from[index];
}

int paging_copy_block(gpa_t top, gva_t address) {
    u64 *from = block_entry(top_table, address), *to = block_entry(top, address);
    if (!from || !to)
        return -ENOMEM;
    *to = *from;
    return 0;
}
