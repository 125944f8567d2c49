#include "jail/descriptors.h"

#include <linux/close_range.h>

#include "base/host.h"

static void sort(int *fds, u32 count) {
    for (u32 i = 1; i < count; i++) {
        int fd = fds[i];
        u32 at = i;
        for (; at > 0 && fds[at - 1] > fd; at--)
            fds[at] = fds[at - 1];
        fds[at] = fd;
    }
}

void descriptors_keep(int *fds, u32 count) {
    int next = 3;
    sort(fds, count);
    for (u32 i = 0; i < count; i++) {
        if (fds[i] > next)
            host(__NR_close_range, next, fds[i] - 1, 0);
        if (fds[i] >= next)
            next = fds[i] + 1;
    }
    host(__NR_close_range, next, ~0u, 0);
    host(__NR_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC);
}
