/* The mapping list, shared by the files of mm/. Every function wants space.lock held. */
#ifndef KW_MM_LIST_H
#define KW_MM_LIST_H

#include "mm/space.h"

/* As Linux' default vm.max_map_count: the host's own list of mappings has the same limit. */
#define MAPPING_LIMIT 65530
#define STACK_ROOM (128ul << 20)
#define STACK_GUARD (1ul << 20) /* stays unmapped below a stack that grows (stack_guard_gap) */
#define MAP_LOWEST 0x10000ul    /* vm.mmap_min_addr */

struct space {
    struct lock lock;
    struct mapping *list; /* sorted by address, MAPPING_LIMIT entries */
    u32 count;
    u64 mapped;  /* bytes in all */
    u64 charged; /* bytes of mappings that are (struct mapping) */
    gva_t stack_top, map_top, program_base, vdso;
    gva_t break_start, break_end;
};
extern struct space space;

/* Index of the first mapping that ends after `address`; space.count when there is none. */
u32 list_first_after(gva_t address);
/* Makes a mapping border at `address` when it lies inside a mapping. */
void list_split(gva_t address);
/* Takes [start, end) out of the list. */
void list_carve(gva_t start, gva_t end);
/* Adds a mapping where the list is free, merging it with like neighbours. */
void list_add(struct mapping mapping);
void list_merge_around(gva_t start, gva_t end);
/* Room for any one change. */
bool list_has_room(void);
/* Whether the mapping counts once it has these rights: what was writable goes on to count until it
 * cannot be accessed any more. */
bool list_is_charged(const struct mapping *mapping, int prot);
/* Bytes in [start, end) that are charged. */
u64 list_charged_in(gva_t start, gva_t end);
/* Changes whether the mapping counts. */
void list_charge(struct mapping *mapping, bool charged);
/* Whether [start, end) touches the vDSO or its data, which stay where they are. */
bool list_special_in(gva_t start, gva_t end);
/* Gives the host memory of [start, end) back to the window's reservation. An address or a negative
 * errno. */
long reserve_again(gva_t start, gva_t end);
/* Whether `more` bytes may be charged; what became of it is told by space_settle. */
bool space_may_charge(u64 more);
/* Ends a change of the space: tells what is charged now, and releases the lock. */
void space_settle(void);
/* Highest free range of `size` bytes in [low, high); 0 when there is none. */
gva_t list_find_gap(u64 size, gva_t low, gva_t high);

#endif
