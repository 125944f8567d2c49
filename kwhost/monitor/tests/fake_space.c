#include "fake_space.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "machine/vcpu.h"
#include "mm/space.h"
#include "mm/window.h"

struct fake_mapping fake_mappings[64];
u32 fake_mapping_count;
gva_t fake_break;
static gva_t next_place;

void fake_space_clear(void) {
    for (u32 i = 0; i < fake_mapping_count; i++)
        munmap(fake_ptr(fake_mappings[i].start), fake_mappings[i].end - fake_mappings[i].start);
    fake_mapping_count = 0;
    fake_break = 0;
    next_place = 0x3e0000000000;
}

long space_map(gva_t hint, u64 size, int prot, int flags, int fd, u64 offset,
               enum mapping_kind kind) {
    if (!(flags & (MAP_FIXED | MAP_FIXED_NOREPLACE))) {
        hint = next_place;
        next_place += page_up(size) + (1ul << 30);
    }
    if (fake_mapping_count == 64 || !window_range_ok(hint, size))
        return -ENOMEM;
    flags |= flags & MAP_FIXED ? 0 : MAP_FIXED_NOREPLACE;
    /* Kept readable and writable, as the test itself looks; `prot` is remembered. */
    void *at = mmap(fake_ptr(hint), size, PROT_READ | PROT_WRITE, flags, fd, (off_t)offset);
    if (at == MAP_FAILED)
        return -errno;
    fake_mappings[fake_mapping_count++] =
        (struct fake_mapping){hint, hint + page_up(size), prot, (int)kind};
    return (long)hint;
}

long space_unmap(gva_t start, u64 size) {
    fake_mapping_count--; /* the loader only takes back what it mapped last */
    return munmap(fake_ptr(start), size) ? -errno : 0;
}

void space_set_break(gva_t start) {
    fake_break = start;
}
void space_set_stack_size(u64 size) {
    (void)size;
}
gva_t space_program_base(void) {
    return FAKE_PROGRAM_BASE;
}
gva_t space_stack_top(void) {
    return FAKE_STACK_TOP;
}
gva_t space_vdso_base(void) {
    return FAKE_VDSO;
}
u32 vcpu_xstate_size(void) {
    return FAKE_XSTATE;
}

static bool mapped(gva_t at, u64 size) {
    u64 done = 0;
    while (done < size) {
        u32 i = 0;
        while (i < fake_mapping_count &&
               !(fake_mappings[i].start <= at + done && at + done < fake_mappings[i].end))
            i++;
        if (i == fake_mapping_count)
            return false;
        done = fake_mappings[i].end - at;
    }
    return true;
}

long copy_from_guest(void *to, gva_t from, u64 size) {
    if (!mapped(from, size))
        return -EFAULT;
    memcpy(to, fake_ptr(from), size);
    return 0;
}
long copy_to_guest(gva_t to, const void *from, u64 size) {
    if (!mapped(to, size))
        return -EFAULT;
    memcpy(fake_ptr(to), from, size);
    return 0;
}
long zero_guest(gva_t to, u64 size) {
    if (!mapped(to, size))
        return -EFAULT;
    memset(fake_ptr(to), 0, size);
    return 0;
}
long copy_string_from_guest(char *to, gva_t from, u64 size) {
    for (u64 i = 0; i < size; i++) {
        long result = copy_from_guest(to + i, from + i, 1);
        if (result < 0)
            return result;
        if (!to[i])
            return (long)i;
    }
    return -ENAMETOOLONG;
}

int format(char *to, size_t size, const char *pattern, ...);
int format(char *to, size_t size, const char *pattern, ...) {
    va_list args;
    va_start(args, pattern);
    int length = vsnprintf(to, size, pattern, args);
    va_end(args);
    return length;
}
