#include "jail/scratch.h"

#include <linux/limits.h>

#include "base/text.h"
#include "jail/kernel.h"

struct directory_entry { /* struct linux_dirent64 */
    u64 inode, next;
    u16 size;
    u8 type;
    char name[];
};

long scratch_make(const char *path, u32 uid, u32 gid, const char **name) {
    char above[PATH_MAX];
    *name = strrchr(path, '/') + 1;
    format(above, sizeof above, "%.*s", (int)(*name - path), path);
    long parent = host(__NR_openat, AT_FDCWD, above, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    long result = parent < 0 ? parent : host(__NR_mkdirat, parent, *name, 0700);
    if (result >= 0 && host(__NR_geteuid) != uid)
        result = host(__NR_fchownat, parent, *name, uid, gid, AT_SYMLINK_NOFOLLOW);
    return result < 0 ? result : parent;
}

long scratch_become_owner(u32 uid, u32 gid) {
    if (host(__NR_geteuid) == uid)
        return 0;
    long result = host(__NR_setgroups, 0, NULL);
    if (result >= 0)
        result = host(__NR_setresgid, gid, gid, gid);
    return result < 0 ? result : host(__NR_setresuid, uid, uid, uid);
}

static long open_directory(int parent, const char *name) {
    host(__NR_fchmodat, parent, name, 0700); /* its owner may have locked itself out */
    return host(__NR_openat, parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
}

/* Removes an entry: 0, -ENOTEMPTY of a directory with something in it, or why it cannot be. */
static long remove_entry(int directory, const char *name) {
    long result = host(__NR_unlinkat, directory, name, 0);
    if (result == -EISDIR)
        result = host(__NR_unlinkat, directory, name, AT_REMOVEDIR);
    return result == -EEXIST ? -ENOTEMPTY : result == -ENOENT ? 0 : result;
}

/* Removes what is in the directory, up to the first one below that is not empty, whose descriptor
 * it returns. -ENOENT: there is nothing left. */
static long empty(int directory) {
    char buffer[4096] __attribute__((aligned(8)));
    bool any;
    do {
        long length;
        any = false;
        host(__NR_lseek, directory, 0, 0);
        while ((length = host(__NR_getdents64, directory, buffer, sizeof buffer)) > 0)
            for (long at = 0; at < length;) {
                const struct directory_entry *entry = (const struct directory_entry *)(buffer + at);
                at += entry->size;
                if (!strcmp(entry->name, ".") || !strcmp(entry->name, ".."))
                    continue;
                long result = remove_entry(directory, entry->name);
                if (result == -ENOTEMPTY)
                    return open_directory(directory, entry->name);
                if (result < 0)
                    return result;
                any = true;
            }
    } while (any);
    return -ENOENT;
}

/* Goes down and up again by descriptors alone, for there is no bound on how deep it is. */
void scratch_remove(int parent, const char *name) {
    long directory = open_directory(parent, name), next = directory;
    for (u64 depth = 0; next >= 0; directory = next) {
        next = empty((int)directory);
        if (next >= 0)
            depth++;
        else if (next == -ENOENT && depth > 0 && depth--)
            next = host(__NR_openat, directory, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
        host(__NR_close, directory);
    }
    host(__NR_unlinkat, parent, name, AT_REMOVEDIR);
}
