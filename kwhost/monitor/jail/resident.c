#include "jail/resident.h"

#include "base/text.h"
#include "jail/clock.h"
#include "jail/kernel.h"

#define PERIOD (SECOND_NS / 10)
#define SHARE_OF_TIME 10 /* one part in so many goes into sampling, however many processes */

struct entry { /* struct linux_dirent64 */
    u64 inode, next;
    u16 size;
    u8 type;
    char name[];
};

static bool read_file(int procfs, const char *pid, const char *name, char *text, size_t size) {
    char path[48];
    format(path, sizeof path, "%.20s/%s", pid, name);
    long fd = host(__NR_openat, procfs, path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return false;
    long length = host(__NR_read, fd, text, size - 1);
    host(__NR_close, fd);
    text[length > 0 ? length : 0] = 0;
    return length > 0;
}

/* The decimal number behind `text`, after blanks. */
static u64 number_at(const char *text) {
    u64 number = 0;
    while (*text == ' ')
        text++;
    for (; *text >= '0' && *text <= '9'; text++)
        number = number * 10 + (u64)(*text - '0');
    return number;
}

/* Every resident page, however many processes share it. */
static u64 resident_size(int procfs, const char *pid) {
    char text[128];
    const char *second;
    if (!read_file(procfs, pid, "statm", text, sizeof text) || !(second = strchr(text, ' ')))
        return 0;
    return number_at(second) * PAGE_SIZE;
}

/* Each process's part of the pages it shares. Takes the kernel longer, and where it may not be read
 * the resident size must do. */
static u64 proportional_size(int procfs, const char *pid) {
    char text[1024];
    const char *line;
    if (!read_file(procfs, pid, "smaps_rollup", text, sizeof text) ||
        !(line = strstr(text, "\nPss:")))
        return resident_size(procfs, pid);
    return number_at(line + 5) * 1024;
}

static u64 sum(int procfs, u64 (*measure)(int, const char *)) {
    char buffer[4096] __attribute__((aligned(8)));
    u64 total = 0;
    long directory = host(__NR_openat, procfs, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0), length;
    while ((length = host(__NR_getdents64, directory, buffer, sizeof buffer)) > 0)
        for (long at = 0; at < length;) {
            const struct entry *entry = (const struct entry *)(buffer + at);
            if (entry->name[0] >= '1' && entry->name[0] <= '9')
                total += measure(procfs, entry->name);
            at += entry->size;
        }
    if (directory >= 0)
        host(__NR_close, directory);
    return total;
}

bool resident_lives(int procfs, u32 id) {
    char name[16];
    format(name, sizeof name, "%u", id);
    return resident_size(procfs, name) > 0;
}

void resident_start(struct resident *resident, u64 limit) {
    resident->limit = limit;
    resident->next = limit ? clock_monotonic() : 0;
}

u64 resident_check(struct resident *resident, int procfs) {
    u64 begun = clock_monotonic();
    if (!resident->next || begun < resident->next)
        return 0;
    u64 used = sum(procfs, resident_size);
    if (used > resident->limit)
        used = sum(procfs, proportional_size);
    u64 now = clock_monotonic();
    resident->next = now + max_u64(PERIOD, (now - begun) * SHARE_OF_TIME);
    return used > resident->limit ? used : 0;
}
