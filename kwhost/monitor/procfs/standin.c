/* Stand-ins for what guests open in /proc (procfs/standin.h). */
#include <asm/stat.h>
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/mount.h>

#include "base/host.h"
#include "base/text.h"
#include "process/exec.h"
#include "process/thread.h"
#include "procfs/procfs.h"
#include "procfs/standin.h"
#include "procfs/table.h"

#define SEPARATOR ':' /* for '/': in no name that we serve, network devices' included */
#define DELETED " (deleted)"
#define KEPT_FLAGS (O_CLOEXEC | O_NONBLOCK | O_PATH)

static u64 standin_device;            /* of the instance's tmpfs; 0: there is none */
static struct table_directory sealed; /* at /proc, the same for the instance's life */

static long set_option(long context, const char *name, const char *value) {
    return host(__NR_fsconfig, context, FSCONFIG_SET_STRING, name, value, 0);
}

int procfs_make_standins(void) {
    long context = host(__NR_fsopen, "tmpfs", FSOPEN_CLOEXEC);
    if (context < 0)
        return (int)context;
    /* Anyone in the instance may make objects: programs change their ids. But a guest that gets
     * here from a stand-in by way of ".." (it swaps a descriptor that was looked at) finds no
     * names, and can take away none of another user's. Bounded, and charged to the instance as its
     * other memory is. */
    long result = set_option(context, "mode", "1733");
    if (result >= 0)
        result = set_option(context, "size", "64m");
    if (result >= 0)
        result = set_option(context, "nr_inodes", "16384");
    if (result >= 0)
        result = host(__NR_fsconfig, context, FSCONFIG_CMD_CREATE, 0, 0, 0);
    if (result >= 0)
        result = host(__NR_fsmount, context, FSMOUNT_CLOEXEC,
                      MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    host(__NR_close, context);
    return (int)result;
}

int standin_start(void) {
    struct stat status;
    long result = host(__NR_fstat, own_fd(OWN_STANDINS), &status);
    standin_device = result < 0 ? 0 : status.st_dev;
    sealed = table_sealed();
    /* The first monitor, before its guest could change anything. */
    if (!sealed.inode &&
        host(__NR_newfstatat, AT_FDCWD, "/proc", &status, AT_SYMLINK_NOFOLLOW) >= 0) {
        sealed.device = status.st_dev;
        sealed.inode = status.st_ino;
        table_set_sealed(sealed);
    }
    return (int)result;
}

bool standin_is_sealed(u64 device, u64 inode) {
    return inode == sealed.inode && device == sealed.device && inode;
}

bool standin_is(u64 device) {
    return device == standin_device && standin_device;
}

/* "<tid>:<inside>", unique as long as the thread makes one at a time. */
static long make_name(const struct thread *thread, const char *inside, char name[NAME_MAX + 1]) {
    int length = format(name, NAME_MAX + 1, "%d:%s", thread->kernel_tid, inside);
    if (length > NAME_MAX)
        return -ENAMETOOLONG;
    for (char *c = name; *c; c++)
        if (*c == '/')
            *c = SEPARATOR;
    return 0;
}

long standin_directory(struct thread *thread, const char *inside, int flags) {
    char name[NAME_MAX + 1];
    int root = own_fd(OWN_STANDINS);
    long fd = make_name(thread, inside, name);
    if (fd)
        return fd;
    long result = host(__NR_mkdirat, root, name, 0700);
    if (result == -EEXIST) { /* left by a killed thread with this number */
        host(__NR_unlinkat, root, name, AT_REMOVEDIR);
        result = host(__NR_mkdirat, root, name, 0700);
    }
    if (result < 0)
        return result == -ENOSPC ? -ENFILE : result;
    int how = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | (flags & KEPT_FLAGS);
    fd = host(__NR_openat, root, name, how, 0);
    if (fd == -EACCES) { /* the guest's umask took the owner's permissions */
        host(__NR_fchmodat, root, name, 0700);
        fd = host(__NR_openat, root, name, how, 0);
    }
    host(__NR_unlinkat, root, name, AT_REMOVEDIR);
    return fd;
}

static long write_all(int fd, const u8 *data, u64 size) {
    while (size) {
        long count = host(__NR_write, fd, data, size);
        if (count <= 0)
            return count ? count : -ENOSPC;
        data += count;
        size -= (u64)count;
    }
    return 0;
}

/* The same file again, read-only (or O_PATH), at a number of its own. */
static long reopen(int root, const char *name, int flags) {
    int how = O_RDONLY | O_NOFOLLOW | (flags & KEPT_FLAGS);
    long fd = host(__NR_openat, root, name, how, 0);
    if (fd == -EACCES) {
        host(__NR_fchmodat, root, name, 0444);
        fd = host(__NR_openat, root, name, how, 0);
    }
    return fd;
}

long standin_text(struct thread *thread, const char *inside, const void *data, u64 size,
                  int flags) {
    char name[NAME_MAX + 1];
    int root = own_fd(OWN_STANDINS);
    int how = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    long result = make_name(thread, inside, name);
    if (result)
        return result;
    long fd = host(__NR_openat, root, name, how, 0444);
    if (fd == -EEXIST) { /* left by a killed thread with this number */
        host(__NR_unlinkat, root, name, 0);
        fd = host(__NR_openat, root, name, how, 0444);
    }
    if (fd < 0)
        return fd == -ENOSPC ? -ENFILE : fd;
    /* The writable descriptor goes first, so that a guest with one free number can open, too. */
    struct own_file_limit size_limit;
    own_file_limit_raise(&size_limit);
    result = write_all((int)fd, data, size);
    own_file_limit_restore(&size_limit);
    host(__NR_close, fd);
    if (!result)
        result = reopen(root, name, flags);
    host(__NR_unlinkat, root, name, 0);
    return result == -ENOSPC ? -ENOMEM : result;
}

bool standin_parse(const char *name, u64 length, char *inside) {
    u64 deleted = sizeof(DELETED) - 1;
    if (length > deleted && !memcmp(name + length - deleted, DELETED, deleted))
        length -= deleted;
    const char *colon = memchr(name, SEPARATOR, length);
    if (length < 2 || name[0] != '/' || !colon)
        return false;
    length -= (u64)(colon + 1 - name);
    if (length >= PATH_MAX)
        return false;
    memcpy(inside, colon + 1, length);
    inside[length] = 0;
    for (char *c = inside; *c; c++)
        if (*c == SEPARATOR)
            *c = '/';
    return true;
}

bool standin_path(int fd, char *inside) {
    char link[64], name[NAME_MAX + 64];
    struct stat status;
    long result;
    if (fd == AT_FDCWD)
        result = host(__NR_newfstatat, AT_FDCWD, ".", &status, 0);
    else
        result = host(__NR_fstat, fd, &status);
    if (result >= 0 && standin_is_sealed(status.st_dev, status.st_ino)) {
        inside[0] = 0;
        return true;
    }
    if (result < 0 || !standin_is(status.st_dev))
        return false;
    if (fd == AT_FDCWD)
        format(link, sizeof(link), "thread-self/cwd");
    else
        format(link, sizeof(link), "thread-self/fd/%d", fd);
    long length = host(__NR_readlinkat, own_fd(OWN_PROC), link, name, sizeof(name));
    return length > 0 && standin_parse(name, (u64)length, inside);
}
