/* The host's vDSO in the guest: its data pages are the host's own, read through a read-only memory
 * slot, so that clock_gettime costs no exit and follows the host's clock by itself. */
#include <linux/auxvec.h>
#include <linux/fcntl.h>
#include <linux/mman.h>

#include "base/host.h"
#include "base/text.h"
#include "machine/machine.h"
#include "machine/paging.h"
#include "machine/setup.h"
#include "mm/list.h"

#define VDSO_BLOCK SPACE_LIMIT /* one 2 MiB block of guest addresses, above all mappings */
#define VDSO_LARGEST (256ul << 10)

struct vdso_layout vdso_layout;
u64 host_vdso; /* AT_SYSINFO_EHDR of the monitor itself; set by main */

static struct {
    u64 memory, size; /* data pages and image in the monitor's address space */
    gpa_t gpa;
    u32 slot;
} placed;

/* Parses one hexadecimal number; *text is moved behind it. */
static u64 parse_hex(const char **text) {
    u64 value = 0;
    for (;; (*text)++) {
        u32 digit = (u8) * *text;
        if (digit - '0' < 10)
            value = value << 4 | (digit - '0');
        else if ((digit | 0x20) - 'a' < 6)
            value = value << 4 | ((digit | 0x20) - 'a' + 10);
        else
            return value;
    }
}

/* Widens [*start, *end) by the line's range when it is the vDSO's or belongs to its data. */
static void look_at_line(const char *line, u64 *start, u64 *end) {
    if (!strstr(line, "[vvar") && !strstr(line, "[vdso]"))
        return;
    const char *at = line;
    u64 from = parse_hex(&at);
    at++;
    u64 to = parse_hex(&at);
    if (from < *start)
        *start = from;
    if (to > *end)
        *end = to;
}

/* Reads the monitor's own maps to find how far the data pages reach. */
static bool find_size(int proc_fd, u32 *before, u32 *size) {
    long fd = host(__NR_openat, proc_fd, "self/maps", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    u64 start = ~0ul, end = 0;
    char buffer[4096];
    u64 held = 0;
    for (;;) {
        long got = host(__NR_read, fd, buffer + held, sizeof buffer - 1 - held);
        if (got <= 0)
            break;
        held += (u64)got;
        buffer[held] = 0;
        char *line = buffer, *stop;
        while ((stop = strchr(line, '\n'))) {
            *stop = 0;
            look_at_line(line, &start, &end);
            line = stop + 1;
        }
        held -= (u64)(line - buffer);
        memmove(buffer, line, held);
        if (held == sizeof buffer - 1)
            held = 0;
    }
    host(__NR_close, fd);
    if (start > host_vdso || end <= host_vdso || end - start > VDSO_LARGEST)
        return false;
    *before = (u32)(host_vdso - start);
    *size = (u32)(end - host_vdso);
    return true;
}

/* The image is also readable inside the window (calls that are given pointers into it). */
static bool copy_image(gva_t image, u32 size) {
    void *at = (void *)(WINDOW_BASE + image);
    long map = host(__NR_mmap, at, size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (host_failed(map))
        return false;
    memcpy(at, (void *)host_vdso, size);
    return host(__NR_mprotect, at, size, PROT_READ) == 0;
}

static bool place(u32 before, u32 size) {
    placed.memory = host_vdso - before;
    placed.size = before + size;
    placed.gpa = gpa_take(placed.size);
    if (!placed.gpa || slot_add(placed.gpa, placed.size, (void *)placed.memory, true, &placed.slot))
        return false;
    u64 shift = 0;
    host(__NR_getrandom, &shift, sizeof shift, 0);
    gva_t start = VDSO_BLOCK + PAGE_SIZE * (shift % ((HUGE_SIZE - placed.size) / PAGE_SIZE));
    for (u64 offset = 0; offset < placed.size; offset += PAGE_SIZE) {
        u64 bits = PTE_PRESENT | PTE_USER | PTE_ACCESSED;
        bits |= offset < before ? PTE_NO_EXECUTE : 0;
        if (paging_map_page(paging_top(), start + offset, placed.gpa + offset, bits))
            return false;
    }
    if (!copy_image(start + before, size))
        return false;
    space.vdso = start + before;
    list_add((struct mapping){
        .start = start, .end = start + before, .prot = PROT_READ, .kind = MAPPING_VVAR});
    list_add((struct mapping){.start = start + before,
                              .end = start + placed.size,
                              .prot = PROT_READ | PROT_EXEC,
                              .kind = MAPPING_VDSO});
    return true;
}

void vdso_place(int proc_fd, u32 *before, u32 *size) {
    if (!host_vdso || !vcpu_tsc_is_host())
        return;
    if (!*size && !find_size(proc_fd, before, size))
        return;
    lock_take(&space.lock);
    if (!place(*before, *size))
        placed.size = 0;
    lock_release(&space.lock);
}

int vdso_refork(void) {
    if (!placed.size || !space.vdso)
        return 0;
    return slot_again(placed.slot, placed.gpa, placed.size, (void *)placed.memory, true);
}

gva_t space_vdso_base(void) {
    return space.vdso;
}
