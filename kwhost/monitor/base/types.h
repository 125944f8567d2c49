/* Integer names, sizes and small macros used by every part of the monitor. */
#ifndef KW_BASE_TYPES_H
#define KW_BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

typedef u64 gva_t; /* an address as the guest program sees it */
typedef u64 gpa_t; /* a guest-physical address */

#define PAGE_SIZE 4096ul
#define PAGE_MASK (~(PAGE_SIZE - 1))
#define HUGE_SIZE (2ul << 20) /* granule of extents and of the coarse page tables */
#define HUGE_MASK (~(HUGE_SIZE - 1))

#define page_down(x) ((u64)(x)&PAGE_MASK)
#define page_up(x) (((u64)(x) + PAGE_SIZE - 1) & PAGE_MASK)
#define huge_down(x) ((u64)(x)&HUGE_MASK)
#define huge_up(x) (((u64)(x) + HUGE_SIZE - 1) & HUGE_MASK)

#define array_size(a) (sizeof(a) / sizeof((a)[0]))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define min_u64(a, b) ((u64)(a) < (u64)(b) ? (u64)(a) : (u64)(b))
#define max_u64(a, b) ((u64)(a) > (u64)(b) ? (u64)(a) : (u64)(b))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))

#endif
