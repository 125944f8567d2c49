/* A stand-in for the guest's address space in hosted tests: guest memory is ordinary memory at
 * FAKE_BASE, mapped by the host's own mmap. Everything mapped is forgotten by fake_space_clear. */
#ifndef KW_TESTS_FAKE_SPACE_H
#define KW_TESTS_FAKE_SPACE_H

#include "base/types.h"

#define FAKE_BASE 0x200000000000ul /* outside what the address sanitizer uses */
#define FAKE_PROGRAM_BASE 0x2aaaaaa00000ul
#define FAKE_STACK_TOP 0x3ffff0000000ul
#define FAKE_VDSO 0x3fffffff0000ul
#define FAKE_XSTATE 2696

static inline void *fake_ptr(gva_t address) {
    return (void *)(FAKE_BASE + address);
}

struct fake_mapping {
    gva_t start, end;
    int prot, kind;
};
extern struct fake_mapping fake_mappings[64];
extern u32 fake_mapping_count;
extern gva_t fake_break;

void fake_space_clear(void);

#endif
