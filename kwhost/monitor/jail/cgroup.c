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

static bool join(int fd, struct failure *failure) {
    long result = fd < 0 ? 0 : host(__NR_write, fd, "0", 1);
    return result >= 0 || fail_join(fd, result, failure);
}

bool cgroup_join(const int fds[KW_CGROUPS_MAX], struct failure *failure) {
    for (u32 i = 0; i < KW_CGROUPS_MAX; i++)
        if (!join(fds[i], failure))
            return false;
    return true;
}

bool cgroup_join_helping(const struct kw_launch *instance, struct failure *failure) {
    for (u32 i = 0; i < KW_CGROUPS_MAX; i++)
        if (i + 1 != instance->counted_cgroup && !join(instance->guest_cgroup_fds[i], failure))
            return false;
    return true;
}

bool cgroup_join_counted(const struct kw_launch *instance, struct failure *failure) {
    return !instance->counted_cgroup ||
           join(instance->guest_cgroup_fds[instance->counted_cgroup - 1], failure);
}
