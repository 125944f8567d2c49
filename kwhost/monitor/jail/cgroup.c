#include "jail/cgroup.h"

#include <linux/limits.h>

#include "base/text.h"
#include "jail/kernel.h"

static bool fail_join(int fd, long error, struct failure *failure) {
    char link[32], path[KW_ERROR_MAX / 2];
    format(link, sizeof link, "/proc/self/fd/%d", fd);
    long length = host(__NR_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    if (length <= 0)
        length = format(path, sizeof path, "its descriptor %d", fd);
    path[length] = 0;
    return fail(failure, STATUS_OWN, error, "joining the cgroup of %s", path);
}

bool cgroup_join(const int fds[KW_CGROUPS_MAX], struct failure *failure) {
    for (u32 i = 0; i < KW_CGROUPS_MAX; i++) {
        long result = fds[i] < 0 ? 0 : host(__NR_write, fds[i], "0", 1);
        if (result < 0)
            return fail_join(fds[i], result, failure);
    }
    return true;
}
