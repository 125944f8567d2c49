/* Guest page tables. The coarse ones map whole extents with 2 MiB entries (4 KiB ones where code
 * and data meet) and never take permission away while a memory slot lives (kvm-facts.md: software
 * KVM would not see it); the host's own protections inside the window are the fine ones. */
#ifndef KW_MACHINE_PAGING_H
#define KW_MACHINE_PAGING_H

#include "base/types.h"

#define PTE_PRESENT (1ul << 0)
#define PTE_WRITE (1ul << 1)
#define PTE_USER (1ul << 2)
#define PTE_ACCESSED (1ul << 5)
#define PTE_DIRTY (1ul << 6)
#define PTE_HUGE (1ul << 7)
#define PTE_NO_EXECUTE (1ul << 63)
#define PTE_ADDRESS 0x000ffffffffff000ul

/* Pages for tables and ring 0, in memory of the monitor's that ring 3 cannot reach. paging_start
 * makes the first chunk and an empty top-level table. Return 0 or a negative errno. */
int paging_start(void);
gpa_t paging_top(void);

/* A zeroed page. Returns its host address and its guest-physical one, or NULL when memory is out.
 */
void *table_page(gpa_t *gpa);

/* Host address of a page made by table_page. */
void *table_host(gpa_t gpa);

/* Maps 2 MiB blocks [address, address + size) to consecutive guest-physical memory, user-writable
 * and no-execute. Return 0 or -ENOMEM. */
int paging_map_blocks(gva_t address, u64 size, gpa_t gpa);
void paging_unmap_blocks(gva_t address, u64 size);
/* Lets code run in the pages [address, address + size), as far as they are mapped; a block of which
 * that is a part gets a table of its own. */
void paging_allow_execute(gva_t address, u64 size);

/* Table pages of a removed extent stay for the next one at the same place. */

/* Maps one 4 KiB page under `top` with the given PTE bits. Return 0 or -ENOMEM. */
int paging_map_page(gpa_t top, gva_t address, gpa_t gpa, u64 bits);
/* Maps one 2 MiB block under `top`, likewise. */
int paging_map_block(gpa_t top, gva_t address, gpa_t gpa, u64 bits);

/* Between begin and end table_page gives pages for a set of precise tables, which nobody frees:
 * they are thrown away all together when few are left and `unused` says that no vCPU runs under any
 * of them. Returns 0 or a negative errno (then there is nothing to end). table_scratch_low: whether
 * it is time. */
bool table_scratch_low(void);
int table_scratch_begin(bool unused);
void table_scratch_end(void);

/* Gives `top` the coarse tables' entries: for the 512 GiB, or the 2 MiB, around an address. */
void paging_copy_top(gpa_t top, gva_t address);
int paging_copy_block(gpa_t top, gva_t address);

/* For fork: the chunks to register as memory slots again. */
void paging_each_chunk(int (*each)(gpa_t gpa, u64 size, void *memory, u32 slot, void *context),
                       void *context);

#endif
