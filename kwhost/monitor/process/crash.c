#include "process/crash.h"

#include <asm/fcntl.h>

#include "base/host.h"
#include "base/report.h"
#include "base/text.h"
#include "mm/space.h"
#include "mm/window.h"
#include "process/exec.h"

/* A number in hexadecimal at *at, which moves behind it and the one character that follows. */
static u64 read_hex(const char **at) {
    u64 value = 0;
    for (;; (*at)++) {
        char c = **at;
        if (c >= '0' && c <= '9')
            value = value << 4 | (u64)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value << 4 | (u64)(c - 'a' + 10);
        else
            break;
    }
    if (**at)
        (*at)++;
    return value;
}

/* The file name in one line of /proc/self/maps when the line's range holds `address`, else NULL. */
static const char *line_names(const char *line, u64 address) {
    const char *at = line;
    u64 start = read_hex(&at), end = read_hex(&at);
    if (address < start || address >= end)
        return NULL;
    return strchr(at, '/');
}

/* Finds the name of the file mapped at guest address `address` in the host's own list. */
static void file_name(gva_t address, char *name, size_t size) {
    char buffer[4096];
    size_t filled = 0;
    long fd = host(__NR_openat, own_fd(OWN_PROC), "self/maps", O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return;
    for (;;) {
        long got = host(__NR_read, fd, buffer + filled, sizeof buffer - 1 - filled);
        if (got <= 0)
            break;
        filled += (size_t)got;
        buffer[filled] = 0;
        char *line = buffer;
        for (char *end; (end = strchr(line, '\n')); line = end + 1) {
            *end = 0;
            const char *found = line_names(line, WINDOW_BASE + address);
            if (found)
                format(name, size, "%s", found);
        }
        filled -= (size_t)(line - buffer);
        memmove(buffer, line, filled);
        if (name[0] || filled == sizeof buffer - 1)
            break;
    }
    host(__NR_close, fd);
}

static void describe(gva_t address, char *text, size_t size) {
    struct mapping found;
    text[0] = 0;
    if (address >= WINDOW_SIZE || !space_find(address, &found))
        return;
    switch ((enum mapping_kind)found.kind) {
    case MAPPING_HEAP:
        format(text, size, "[heap]");
        break;
    case MAPPING_STACK:
        format(text, size, "[stack]");
        break;
    case MAPPING_VDSO:
        format(text, size, "[vdso]");
        break;
    case MAPPING_VVAR:
        format(text, size, "[vvar]");
        break;
    case MAPPING_FILE:
        file_name(address, text, size);
        break;
    case MAPPING_ANONYMOUS:
        format(text, size, "[anonymous]");
        break;
    }
}

void crash_record(struct thread *thread, const siginfo_t *info) {
    if (!thread->process->is_first || !stats_page)
        return;
    char text[sizeof stats_page->crash_mapping];
    describe((gva_t)info->si_addr, text, sizeof text);
    memcpy(stats_page->crash_mapping, text, sizeof text);
    stats_page->crash_code = (u32)info->si_code;
    stats_page->crash_address = (u64)info->si_addr;
    stats_page->crash_rip = vcpu_regs(thread->vcpu)->rip;
    __atomic_store_n(&stats_page->crash_signal, (u32)info->si_signo, __ATOMIC_RELEASE);
}
