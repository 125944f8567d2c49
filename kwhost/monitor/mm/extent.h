/* Extents: which 2 MiB-aligned stretches of guest addresses are backed by guest-physical addresses,
 * a memory slot and coarse page-table entries. The space's lock is held by all callers. */
#ifndef KW_MM_EXTENT_H
#define KW_MM_EXTENT_H

#include "base/types.h"

/* Makes sure that [start, end) is backed. Returns 0, or -ENOMEM when slots or addresses run out. */
int extent_cover(gva_t start, gva_t end);

/* Guest-physical address behind `address`; false when it is not backed. */
bool extent_gpa(gva_t address, gpa_t *gpa);

/* [start, end) lost its last mappings perhaps: gives back extents that hold none, when enough of
 * them have gathered. */
void extent_forget(gva_t start, gva_t end);

/* Registers every extent as a slot of a new VM, after fork. */
int extent_refork(void);

#endif
