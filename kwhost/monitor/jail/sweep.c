#include "jail/sweep.h"

#include <linux/limits.h>

#include "base/text.h"
#include "jail/errors.h"
#include "jail/kernel.h"
#include "jail/marker.h"
#include "jail/scratch.h"

static long open_directory(const char *path) {
    return host(__NR_openat, AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
}

/* As the user whose it is: never as host root, whatever stands there. */
static void remove(const char *directory) {
    char above[PATH_MAX];
    struct statx stat;
    const char *slash = strrchr(directory, '/');
    if (!slash || strlen(directory) >= sizeof above)
        return;
    format(above, sizeof above, "%.*s", (int)(slash + 1 - directory), directory);
    long parent = open_directory(above);
    if (parent < 0 || host_stat((int)parent, slash + 1, AT_SYMLINK_NOFOLLOW, &stat) < 0)
        return;
    if (stat.stx_uid != 0 && scratch_become_owner(stat.stx_uid, stat.stx_gid) >= 0)
        scratch_remove((int)parent, slash + 1);
}

_Noreturn void sweep_main(const char *scratch, const char *directory) {
    long proc = open_directory("/proc");
    if (proc >= 0)
        marker_end_all((int)proc, scratch);
    remove(directory);
    for (;;)
        host(__NR_exit_group, proc < 0 ? STATUS_OWN : 0);
}
