/* The window: 2^46 bytes of the monitor's address space at a fixed place that hold all guest
 * memory. Guest address g lives at WINDOW_BASE + g. Masking makes it impossible for a guest
 * address, whatever its value, to name monitor memory; a guard of 4 GiB follows, so that structures
 * of fixed size need no end check. Whether a page exists is for the host kernel to say: forwarded
 * calls answer EFAULT, and the copy functions here survive faults. */
#ifndef KW_MM_WINDOW_H
#define KW_MM_WINDOW_H

#include <linux/errno.h>

#include "base/types.h"

#define WINDOW_BITS 46
#define WINDOW_SIZE (1ul << WINDOW_BITS)
#define WINDOW_BASE 0x100000000000ul
#define WINDOW_GUARD (4ul << 30)

/* Reserves the window. Returns 0 or a negative errno. Once, before any guest memory exists. */
int window_reserve(void);

/* Host address of a guest address; NULL stays NULL. */
static inline void *window_ptr(gva_t address) {
    return address ? (void *)(WINDOW_BASE + (address & (WINDOW_SIZE - 1))) : NULL;
}

/* True when [address, address + size) does not wrap and lies below 2^46. */
static inline bool window_range_ok(gva_t address, u64 size) {
    return address <= WINDOW_SIZE && size <= WINDOW_SIZE - address;
}

/* Fault-safe copies between guest and monitor memory. Return 0 or -EFAULT. */
long copy_from_guest(void *to, gva_t from, u64 size);
long copy_to_guest(gva_t to, const void *from, u64 size);
long zero_guest(gva_t to, u64 size);

/* Copies a NUL-terminated string of at most size - 1 bytes. Returns its length, -EFAULT, or
 * -ENAMETOOLONG when there is no NUL in the first `size` bytes. */
long copy_string_from_guest(char *to, gva_t from, u64 size);

/* Makes the page that holds `at` present for reading or writing, as the guest's own access would;
 * what it holds does not change. Returns 0 or -EFAULT. Not by MADV_POPULATE_READ or _WRITE: before
 * Linux 6.9 these may try for ever where a file cannot be read. */
long touch_guest(gva_t at, bool write);

/* Fault-safe access to single words. */
#define get_guest(value, address) copy_from_guest(&(value), (address), sizeof(value))
#define put_guest(value, address) copy_to_guest((address), &(value), sizeof(value))

/* For the SIGSEGV/SIGBUS handler: where to continue when the fault came from a fault-safe copy at
 * host instruction `rip`; 0 when it did not. */
u64 window_fixup(u64 rip);

#endif
