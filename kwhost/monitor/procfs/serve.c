/* System calls on claimed paths, and on descriptors that stand for something in procfs. */
#include <asm/stat.h>
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/stat.h>

#include "base/host.h"
#include "process/exec.h"
#include "process/thread.h"
#include "procfs/procfs.h"
#include "procfs/serve.h"
#include "procfs/standin.h"

#define STAT_AT_FLAGS (AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH)

/* As the kernel encodes it in struct stat. */
static u64 device_number(u32 major, u32 minor) {
    return (minor & 0xff) | (major << 8) | ((u64)(minor & ~0xffu) << 12);
}

/* Whether a path that the host could follow to its end ends at the sealed directory. */
static bool leads_to_sealed(const char *path) {
    struct stat status;
    return host(__NR_newfstatat, AT_FDCWD, path, &status, 0) >= 0 &&
           standin_is_sealed(status.st_dev, status.st_ino);
}

/* What Linux says to changing something in /proc that exists. */
static long refuse_change(void) {
    return host(__NR_geteuid) == 0 ? -EPERM : -EACCES;
}

static long refuse_removing(const struct call *call, const struct place *place) {
    bool wants_directory =
        call->nr == __NR_rmdir || (call->nr == __NR_unlinkat && (call->arg[2] & AT_REMOVEDIR));
    bool directory = place->entry->kind == PLACE_DIRECTORY;
    bool in_process = place->pid && place->number < 0;
    if (host(__NR_geteuid) != 0 || in_process || directory == wants_directory)
        return refuse_change();
    return directory ? -EISDIR : -ENOTDIR;
}

static long serve_attributes(struct call *call, const struct place *place) {
    const u64 *arg = call->arg;
    switch (call->nr) {
    case __NR_stat:
    case __NR_lstat:
        return serve_stat(place, arg[1]);
    case __NR_newfstatat:
        return arg[3] & ~(u64)(u32)STAT_AT_FLAGS ? -EINVAL : serve_stat(place, arg[2]);
    case __NR_statx:
        return serve_statx(place, (int)arg[2], (u32)arg[3], arg[4]);
    case __NR_access:
        return serve_access(place, (u32)arg[1], 0);
    case __NR_faccessat:
        return serve_access(place, (u32)arg[2], 0);
    case __NR_faccessat2:
        return serve_access(place, (u32)arg[2], (int)arg[3]);
    default:
        return -ENOSYS;
    }
}

/* Calls that look at a place inside procfs, and all that open. */
static long serve_look(struct call *call, const struct place *place) {
    const u64 *arg = call->arg;
    switch (call->nr) {
    case __NR_open:
        return serve_open(place, (int)arg[1], (u32)arg[2]);
    case __NR_openat:
        return serve_open(place, (int)arg[2], (u32)arg[3]);
    case __NR_creat:
        return serve_open(place, O_CREAT | O_WRONLY | O_TRUNC, (u32)arg[1]);
    case __NR_chdir:
        return serve_chdir(place);
    case __NR_readlink:
        return serve_readlink(place, arg[1], (u32)arg[2]);
    case __NR_readlinkat:
        return serve_readlink(place, arg[2], (u32)arg[3]);
    case __NR_statfs: {
        long result = place->followed ? -EACCES : place_exists(place);
        return result ? result : serve_statfs(arg[1]);
    }
    default:
        return serve_attributes(call, place);
    }
}

/* Calls that would change a place inside procfs. */
static long serve_change(struct call *call, const struct place *place) {
    bool directory = place->entry->kind == PLACE_DIRECTORY;
    long result = place_exists(place);
    if (result)
        return result;
    switch (call->nr) {
    case __NR_mkdir:
    case __NR_mkdirat:
    case __NR_mknod:
    case __NR_mknodat:
        return -EEXIST;
    case __NR_rmdir:
    case __NR_unlink:
    case __NR_unlinkat:
        return refuse_removing(call, place);
    case __NR_listxattr:
    case __NR_llistxattr:
        return 0;
    case __NR_getxattr:
    case __NR_lgetxattr:
    case __NR_setxattr:
    case __NR_lsetxattr:
    case __NR_removexattr:
    case __NR_lremovexattr:
        return -EOPNOTSUPP;
    case __NR_truncate:
        return directory ? -EISDIR : -EACCES;
    case __NR_chroot:
        return directory ? -EACCES : -ENOTDIR;
    case __NR_inotify_add_watch:
        return -EACCES;
    default:
        return refuse_change();
    }
}

/* Followed links that the functions for opening and looking treat themselves. */
static bool looks(u64 nr) {
    switch (nr) {
    case __NR_open:
    case __NR_openat:
    case __NR_creat:
    case __NR_chdir:
    case __NR_stat:
    case __NR_newfstatat:
    case __NR_statx:
    case __NR_access:
    case __NR_faccessat:
    case __NR_faccessat2:
    case __NR_lstat:
    case __NR_readlink:
    case __NR_readlinkat:
    case __NR_statfs:
        return true;
    default:
        return false;
    }
}

static bool has_two_paths(u64 nr) {
    switch (nr) {
    case __NR_link:
    case __NR_linkat:
    case __NR_symlink:
    case __NR_symlinkat:
    case __NR_rename:
    case __NR_renameat:
    case __NR_renameat2:
        return true;
    default:
        return false;
    }
}

/* Whether the host makes the call, flags and all, on what a followed link leads to. Opening needs
 * more care, and so does the program's file, which nobody may write while it runs. */
static bool host_knows_best(const struct call *call, const struct place *place) {
    if (!place->followed)
        return false;
    switch (call->nr) {
    case __NR_open:
    case __NR_openat:
    case __NR_creat:
    case __NR_chdir:
        return false;
    default:
        return place->own || !looks(call->nr);
    }
}

long procfs_call(struct call *call, const char *inside) {
    struct place place;
    if (has_two_paths(call->nr))
        return serve_two_paths(call);
    long result = place_find(call->thread, inside, &place);
    if (result)
        return result;
    if (place.followed && place.entry->kind == PLACE_PROGRAM && call->nr == __NR_truncate)
        return -ETXTBSY;
    if (host_knows_best(call, &place))
        return serve_beyond(call, &place);
    return looks(call->nr) ? serve_look(call, &place) : serve_change(call, &place);
}

int procfs_start(void) {
    return standin_start();
}

bool procfs_was_sealed(struct call *call) {
    const u64 *arg = call->arg;
    struct {
        u64 device, inode;
    } seen;
    struct statx status;
    switch (call->nr) {
    case __NR_stat:
    case __NR_lstat:
    case __NR_newfstatat:
        return !get_guest(seen, arg[call->nr == __NR_newfstatat ? 2 : 1]) &&
               standin_is_sealed(seen.device, seen.inode);
    case __NR_statx:
        return !get_guest(status, arg[4]) && (status.stx_mask & STATX_INO) &&
               standin_is_sealed(device_number(status.stx_dev_major, status.stx_dev_minor),
                                 status.stx_ino);
    case __NR_statfs:
        return leads_to_sealed(call->thread->path[0]);
    default:
        return false;
    }
}

bool procfs_holds(int fd) {
    char inside[PATH_MAX];
    return fd >= 0 && standin_path(fd, inside);
}

/* The process that a descriptor stood for may be gone: then the stand-in itself is described, which
 * is the call on the host. */
static long or_host(long result) {
    return result == -ENOENT || result == -ESRCH || result == -EACCES ? -ENOTTY : result;
}

long procfs_fd_call(struct call *call, int fd) {
    struct place place;
    char inside[PATH_MAX];
    const u64 *arg = call->arg;
    if (!standin_path(fd, inside) || place_find(call->thread, inside, &place))
        return -ENOTTY;
    switch (call->nr) {
    case __NR_fstat:
        return or_host(serve_stat(&place, arg[1]));
    case __NR_newfstatat:
        return or_host(serve_stat(&place, arg[2]));
    case __NR_statx:
        return or_host(serve_statx(&place, (int)arg[2], (u32)arg[3], arg[4]));
    case __NR_fstatfs:
        return serve_statfs(arg[1]);
    case __NR_fchdir: /* the sealed directory would not let itself be entered */
        return serve_chdir(&place);
    default:
        return -ENOTTY;
    }
}
