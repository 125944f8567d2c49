#include "jail/chroot.h"

#include <linux/sched.h>

#include "jail/filesystem.h"
#include "jail/kernel.h"

/* setns(2) into the namespace one is in already sets root and working directory to its real root.
 */
static long go_to_real_root(void) {
    long own = host(__NR_openat, AT_FDCWD, "/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC, 0);
    if (own < 0)
        return own;
    long result = host(__NR_setns, own, CLONE_NEWNS);
    host(__NR_close, own);
    return result;
}

bool chroot_leave(void) {
    struct mount_attr private = {.propagation = MS_PRIVATE};
    u32 flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE;
    long tree = host(__NR_open_tree, AT_FDCWD, "/", flags);
    long result = tree < 0 ? tree : host(__NR_unshare, CLONE_NEWNS);
    if (result >= 0)
        result = go_to_real_root();
    if (result >= 0)
        result = host(__NR_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &private, sizeof private);
    if (result >= 0)
        result = host(__NR_move_mount, tree, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH);
    if (result >= 0)
        result = host(__NR_fchdir, tree);
    if (result >= 0)
        result = host(__NR_chroot, ".");
    if (tree >= 0)
        host(__NR_close, tree);
    return result >= 0;
}
