#include "jail/paths.h"

#include <linux/limits.h>
#include <linux/openat2.h>

#include "base/text.h"
#include "jail/kernel.h"

#define OPEN_DIRECTORY (O_PATH | O_DIRECTORY | O_CLOEXEC)
#define ATTEMPTS 64 /* of a lookup that a rename elsewhere disturbed */

long inside_open(int root, const char *path, u64 flags, u32 mode) {
    struct open_how how = {.flags = flags | O_CLOEXEC,
                           .mode = flags & O_CREAT ? mode : 0,
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    long result = -EAGAIN;
    for (u32 i = 0; i < ATTEMPTS && (result == -EAGAIN || result == -EINTR); i++)
        result = host(__NR_openat2, root, path, &how, sizeof how);
    return result;
}

/* Opens the directory that `prefix` names, after making it in `parent` when it is missing. */
static long open_or_make(int root, int parent, const char *prefix, const char *name, u32 mode) {
    long result = inside_open(root, prefix, OPEN_DIRECTORY, 0);
    if (result != -ENOENT)
        return result;
    result = host(__NR_mkdirat, parent, name, mode);
    if (result < 0 && result != -EEXIST)
        return result;
    /* Still missing after EEXIST: a symbolic link that leads nowhere. */
    return inside_open(root, prefix, OPEN_DIRECTORY, 0);
}

long inside_make_directory(int root, const char *path, u32 mode) {
    char prefix[PATH_MAX];
    size_t length = strlen(path);
    if (path[0] != '/' || length >= sizeof prefix)
        return -ENAMETOOLONG;
    long last = inside_open(root, path, OPEN_DIRECTORY, 0);
    if (last != -ENOENT)
        return last;
    memcpy(prefix, path, length + 1);
    last = inside_open(root, "/", OPEN_DIRECTORY, 0);
    for (char *name = prefix + 1; last >= 0 && *name;) {
        char *end = strchr(name, '/');
        bool more = end && end[1];
        if (end)
            *end = 0;
        long next = open_or_make(root, (int)last, prefix, name, more ? 0755 : mode);
        host(__NR_close, last);
        last = next;
        if (!more)
            break;
        *end = '/';
        name = end + 1;
    }
    return last;
}

long inside_make_parent(int root, const char *path, const char **name) {
    char parent[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (!slash || strlen(path) >= sizeof parent)
        return -ENAMETOOLONG;
    *name = slash + 1;
    size_t length = (size_t)(slash - path);
    memcpy(parent, path, length);
    if (length == 0)
        parent[length++] = '/';
    parent[length] = 0;
    return inside_make_directory(root, parent, 0755);
}

long open_plainly(const char *path) {
    struct open_how how = {.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS};
    long root = host(__NR_openat, AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    long fd = root < 0 ? root : host(__NR_openat2, root, path, &how, sizeof how);
    if (root >= 0)
        host(__NR_close, root);
    return fd;
}
