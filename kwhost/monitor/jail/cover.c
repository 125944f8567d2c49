#include "jail/cover.h"

#include "jail/filesystem.h"
#include "jail/kernel.h"
#include "jail/paths.h"

static long open_target(int root, const char *target) {
    long place = inside_open(root, target, O_PATH, 0);
    return place == -ENOTDIR ? -ENOENT : place;
}

/* Takes the place of a directory; or a device that cannot be opened, as its mount allows none. */
static long make_cover(bool is_directory) {
    char log[FILESYSTEM_LOG];
    u64 attributes = FILESYSTEM_SAFE | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY;
    if (is_directory)
        return filesystem_new("tmpfs", "mode=0,size=4k,nr_inodes=2", attributes, log);
    long fd = host(__NR_open_tree, AT_FDCWD, "/dev/null", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    long result = fd < 0 ? fd : mount_change((int)fd, attributes, -1, false);
    if (result < 0 && fd >= 0)
        host(__NR_close, fd);
    return result < 0 ? result : fd;
}

long cover(int root, const char *target) {
    struct statx stat;
    long place = open_target(root, target);
    if (place < 0)
        return place == -ENOENT ? 0 : place;
    long result = host_stat((int)place, "", AT_EMPTY_PATH, &stat);
    long made = result < 0 ? result : make_cover(S_ISDIR(stat.stx_mode));
    result = made < 0 ? made : mount_attach((int)made, (int)place);
    if (made >= 0)
        host(__NR_close, made);
    host(__NR_close, place);
    return result;
}

long cover_for_reading(int root, const char *target) {
    long place = open_target(root, target);
    if (place < 0)
        return place == -ENOENT ? 0 : place;
    long copy = host(__NR_open_tree, place, "",
                     AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    long result = copy < 0 ? copy : mount_change((int)copy, MOUNT_ATTR_RDONLY, -1, true);
    if (result >= 0)
        result = mount_attach((int)copy, (int)place);
    if (copy >= 0)
        host(__NR_close, copy);
    host(__NR_close, place);
    return result;
}
