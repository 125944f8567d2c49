/* Opening places in procfs, and making them the working directory. */
#include <asm/stat.h>
#include <asm/statfs.h>
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <linux/stat.h>

#include "base/host.h"
#include "calls/dispatch.h"
#include "process/exec.h"
#include "process/thread.h"
#include "procfs/content.h"
#include "procfs/private.h"
#include "procfs/procfs.h"
#include "procfs/serve.h"
#include "procfs/standin.h"
#include "procfs/table.h"

#define PASSED_FLAGS (O_CLOEXEC | O_NONBLOCK | O_NOATIME)

static bool wants_write(int flags) {
    return (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
}

/* Reopening a pipe or a terminal fails where it belongs to somebody outside of the instance, though
 * the guest holds it and on Linux would own it. The same open file then serves as well. */
long procfs_duplicate(int fd, int flags) {
    struct stat status;
    long have = host(__NR_fcntl, fd, F_GETFL, 0);
    if (have < 0 || (have & O_PATH) || host(__NR_fstat, fd, &status) < 0)
        return -EACCES;
    u32 type = status.st_mode & S_IFMT;
    int wanted = flags & O_ACCMODE;
    if (type != S_IFIFO && type != S_IFCHR)
        return -EACCES;
    if ((have & O_ACCMODE) != O_RDWR && (have & O_ACCMODE) != wanted)
        return -EACCES;
    return host(__NR_fcntl, fd, flags & O_CLOEXEC ? F_DUPFD_CLOEXEC : F_DUPFD, 0);
}

/* A real file of procfs (a sysctl, say) must not become writable by way of its descriptor. */
static long keep_unwritable(long fd, int flags) {
    struct statfs system;
    if (fd < 0 || !wants_write(flags) || (flags & O_PATH))
        return fd;
    if (host(__NR_fstatfs, fd, &system) >= 0 && system.f_type != PROC_SUPER_MAGIC)
        return fd;
    host(__NR_close, fd);
    return -EACCES;
}

/* Opens what a followed link leads to. May block (a FIFO). */
static long open_beyond(const struct place *place, int flags, u32 mode) {
    char path[JUMP_PATH];
    u64 arg[6] = {(u64)own_fd(OWN_PROC), (u64)path, (u64)flags, mode};
    if (place->own) {
        jump_path(place, path);
    } else {
        long failed = their_target(place, path);
        if (failed)
            return failed;
        arg[0] = (u64)AT_FDCWD;
    }
    long fd = interrupted(place->thread, RESTART_SYS,
                          host_interruptible(place->thread, __NR_openat, arg));
    if (fd == -EACCES && place->own && place->number >= 0 && !place->beyond[0] && !(flags & O_PATH))
        return procfs_duplicate(place->number, flags);
    return keep_unwritable(fd, flags);
}

long procfs_target(struct thread *thread, const char *inside, struct procfs_target *target) {
    struct place place;
    long result = place_find(thread, inside, &place);
    if (result)
        return result;
    if (!place.followed)
        return -ENOTTY;
    result = place_may_read(&place);
    *target = (struct procfs_target){.dirfd = own_fd(OWN_PROC), .number = -1};
    if (result)
        return result;
    target->is_link = !place.beyond[0];
    if (!place.own) {
        target->dirfd = AT_FDCWD;
        return their_target(&place, target->path);
    }
    if (place.entry->kind == PLACE_PROGRAM) {
        format(target->path, sizeof target->path, "thread-self/fd/%d", own_fd(OWN_PROGRAM));
        return 0;
    }
    if (target->is_link)
        target->number = place.number;
    jump_path(&place, target->path);
    return 0;
}

/* exe: the program's file again. Of another process: the file by the name its monitor published. */
static long open_exe(const struct place *place, int flags) {
    char path[64];
    long result = place_may_read(place);
    if (result)
        return result;
    if (wants_write(flags))
        return -ETXTBSY;
    if (!place->own) {
        struct table_entry *entry = scratch_take(place->thread, sizeof(*entry));
        if (!entry || !table_read(place->pid, entry))
            return -ENOENT;
        entry->exe[entry->exe_length] = 0;
        return host(__NR_openat, AT_FDCWD, entry->exe, flags & ~(O_CREAT | O_EXCL), 0);
    }
    format(path, sizeof(path), "thread-self/fd/%d", own_fd(OWN_PROGRAM));
    return host(__NR_openat, own_fd(OWN_PROC), path, flags & ~(O_CREAT | O_EXCL), 0);
}

static long open_text(const struct place *place, int flags) {
    struct text text;
    long result = content_make(place, &text);
    if (result)
        return result;
    result = standin_text(place->thread, place->inside, text.data, text.length, flags);
    content_free(&text);
    return result;
}

/* A file that is handed out as it is. Only comm may be written, by its own process. */
static long open_real(const struct place *place, int flags) {
    char comm[64];
    const char *path = place->inside;
    int how = (flags & PASSED_FLAGS) | O_NOFOLLOW | O_NOCTTY;
    if (wants_write(flags)) {
        if (place->entry->kind != PLACE_COMM || !place->own)
            return has_prefix(place->inside, "sys/") ? -EROFS : -EACCES;
        /* The thread's own file: the process's belongs to root while it is not dumpable. */
        format(comm, sizeof(comm), "%d/task/%d/comm", place->pid,
               place->tid ? place->tid : place->pid);
        path = comm;
        how |= flags & O_ACCMODE;
    }
    return host(__NR_openat, own_fd(OWN_PROC), path, how, 0);
}

/* A descriptor that only names the place. */
static long open_name(const struct place *place, int flags) {
    if (place->entry->kind == PLACE_DIRECTORY)
        return standin_directory(place->thread, place->inside, flags);
    return flags & O_DIRECTORY ? -ENOTDIR
                               : standin_text(place->thread, place->inside, "", 0, flags);
}

static long open_inside(const struct place *place, int flags) {
    long result = place_exists(place);
    if (result)
        return result;
    if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
        return -EEXIST;
    if (flags & O_PATH)
        return open_name(place, flags);
    bool directory = place->entry->kind == PLACE_DIRECTORY;
    if ((flags & __O_TMPFILE) && directory)
        return -EOPNOTSUPP;
    if ((flags & O_DIRECTORY) && !directory)
        return -ENOTDIR;
    if (directory && (wants_write(flags) || (flags & O_CREAT)))
        return -EISDIR;
    switch ((enum place_kind)place->entry->kind) {
    case PLACE_DIRECTORY:
        result = place_may_read(place);
        return result ? result : standin_directory(place->thread, place->inside, flags);
    case PLACE_REAL:
    case PLACE_COMM:
        return open_real(place, flags);
    case PLACE_TEXT:
        result = wants_write(flags) ? -EACCES : place_may_read(place);
        return result ? result : open_text(place, flags);
    case PLACE_LINK:
    case PLACE_JUMP:
    case PLACE_PROGRAM:
        return -ELOOP; /* a link that was not to be followed */
    case PLACE_MEMORY:
        result = place_may_read(place);
        return result ? result : standin_directory(place->thread, place->inside, flags);
    default:
        return -EACCES;
    }
}

long serve_open(const struct place *place, int flags, u32 mode) {
    if (!place->followed)
        return open_inside(place, flags);
    if (place->entry->kind == PLACE_PROGRAM)
        return open_exe(place, flags);
    return open_beyond(place, flags, mode);
}

long serve_chdir(const struct place *place) {
    if (place->entry->kind != PLACE_DIRECTORY && !place->followed)
        return place_exists(place) ? -ENOENT : -ENOTDIR;
    long fd = serve_open(place, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0)
        return fd;
    long result = host(__NR_fchdir, fd);
    host(__NR_close, fd);
    procfs_cwd_changed(place->thread);
    return result;
}

long procfs_open_program(struct thread *thread, const char *inside) {
    struct place place;
    long result = place_find(thread, inside, &place);
    if (result)
        return result;
    if (!place.followed)
        return -EACCES; /* nothing in procfs itself can be executed */
    return serve_open(&place, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
}

long procfs_openat2(struct thread *thread, const char *inside, const char *path, u64 flags,
                    u64 mode, u64 resolve) {
    struct place place;
    /* The kernel would have begun an absolute path elsewhere, or refused it. */
    if (path[0] == '/' && (resolve & RESOLVE_IN_ROOT))
        return -EACCES;
    if (path[0] == '/' && (resolve & RESOLVE_BENEATH))
        return -EXDEV;
    if ((flags >> 32) || (mode & ~07777ul) || (resolve >> 6))
        return -EINVAL;
    long result = place_find(thread, inside, &place);
    if (result)
        return result;
    if (place.followed && (resolve & (RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS)))
        return -ELOOP;
    return serve_open(&place, (int)flags, (u32)mode);
}
