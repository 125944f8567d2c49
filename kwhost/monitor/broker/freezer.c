#include "broker/freezer.h"

#include <linux/fcntl.h>
#include <linux/limits.h>

#include "base/host.h"
#include "base/text.h"

int freezer = -1;

/* The file `name` beside the one that `fd` is. */
static int open_beside(int fd, const char *name) {
    char link[32], path[PATH_MAX];
    format(link, sizeof link, "/proc/self/fd/%d", fd);
    long length = host(__NR_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    if (length <= 0)
        return -1;
    path[length] = 0;
    char *last = strrchr(path, '/');
    u64 room = last ? sizeof path - (u64)(last + 1 - path) : 0;
    if (!last || strlen(name) >= room)
        return -1;
    format(last + 1, room, "%s", name);
    return (int)host(__NR_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
}

int freezer_open(const int cgroups[KW_CGROUPS_MAX]) {
    static const char *const names[] = {"cgroup.freeze", "freezer.state"};
    for (u32 i = 0; i < KW_CGROUPS_MAX; i++)
        for (u32 j = 0; cgroups[i] >= 0 && j < array_size(names); j++) {
            int fd = open_beside(cgroups[i], names[j]);
            if (fd >= 0)
                return fd;
        }
    return -1;
}

/* "1" in the unified hierarchy, "FREEZING" and "FROZEN" in the older one. */
bool freezer_freezes(void) {
    char state;
    return freezer >= 0 && host(__NR_pread64, freezer, &state, 1, 0) == 1 &&
           (state == '1' || state == 'F');
}
