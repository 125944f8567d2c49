#include "mm/window.h"

#include <linux/mman.h>

#include "base/host.h"

extern long copy_bytes(void *to, const void *from, u64 size);
extern long fill_zero(void *to, u64 size);
extern long copy_until_nul(char *to, const char *from, u64 size);
extern long touch_byte(void *at, bool write);
extern const char copy_first[], copy_last[], copy_fault[];

int window_reserve(void) {
    long at = host(__NR_mmap, WINDOW_BASE, WINDOW_SIZE + WINDOW_GUARD, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (host_failed(at))
        return (int)at;
    /* The reservation itself is never dumped; it may fail on nothing we know. */
    return (int)host(__NR_madvise, WINDOW_BASE, WINDOW_SIZE + WINDOW_GUARD, MADV_DONTDUMP);
}

long copy_from_guest(void *to, gva_t from, u64 size) {
    if (!window_range_ok(from, size))
        return -EFAULT;
    return copy_bytes(to, (const void *)(WINDOW_BASE + from), size);
}

long copy_to_guest(gva_t to, const void *from, u64 size) {
    if (!window_range_ok(to, size))
        return -EFAULT;
    return copy_bytes((void *)(WINDOW_BASE + to), from, size);
}

long zero_guest(gva_t to, u64 size) {
    if (!window_range_ok(to, size))
        return -EFAULT;
    return fill_zero((void *)(WINDOW_BASE + to), size);
}

long touch_guest(gva_t at, bool write) {
    return at < WINDOW_SIZE ? touch_byte((void *)(WINDOW_BASE + at), write) : -EFAULT;
}

long copy_string_from_guest(char *to, gva_t from, u64 size) {
    if (!from || from >= WINDOW_SIZE)
        return -EFAULT;
    /* A string cut off by the end of the window runs into the guard: EFAULT, as it should be. */
    long length = copy_until_nul(to, (const char *)(WINDOW_BASE + from), size);
    return length == (long)size ? -ENAMETOOLONG : length;
}

u64 window_fixup(u64 rip) {
    return rip >= (u64)copy_first && rip < (u64)copy_last ? (u64)copy_fault : 0;
}
