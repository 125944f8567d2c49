/* stat, statx, statfs and access on places in procfs: the host's answers, with the owner that the
 * files of an ordinary, dumpable process have. */
#include <asm/stat.h>
#include <asm/statfs.h>
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/stat.h>

#include "base/host.h"
#include "mm/window.h"
#include "process/exec.h"
#include "process/thread.h"
#include "procfs/ask.h"
#include "procfs/serve.h"
#include "procfs/table.h"

#define ACCESS_READ 4u
#define ACCESS_WRITE 2u
#define ACCESS_EXECUTE 1u
#define STATX_FLAGS (AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC)

/* Where the host can be asked about a place: arguments for the *at calls. */
struct host_object {
    int dirfd;
    const char *path;
    int flags; /* AT_* */
    char buffer[JUMP_PATH];
};

/* The part behind the process's (or thread's) directory. */
static const char *after_process(const struct place *place) {
    const char *path = strchr(place->inside, '/');
    for (int i = 0; place->tid && i < 2 && path; i++)
        path = strchr(path + 1, '/');
    return path ? path + 1 : "";
}

void jump_path(const struct place *place, char *path) {
    if (place->entry->kind == PLACE_PROGRAM) {
        format(path, JUMP_PATH, "thread-self/fd/%d", own_fd(OWN_PROGRAM));
        return;
    }
    format(path, JUMP_PATH, "thread-self/%s", after_process(place));
    u64 length = strlen(path);
    if (length && path[length - 1] == '/' && !place->beyond[0])
        path[length - 1] = 0; /* the mark of a followed link: a slash would demand a directory */
}

static long object_of_exe(const struct place *place, struct host_object *object) {
    long result = place_may_read(place);
    if (result)
        return result;
    if (place->own) {
        object->dirfd = own_fd(OWN_PROGRAM);
        object->path = "";
        object->flags = AT_EMPTY_PATH;
        return 0;
    }
    struct table_entry *entry = scratch_take(place->thread, sizeof(*entry));
    if (!entry || !table_read(place->pid, entry))
        return -ENOENT;
    memcpy(object->buffer, entry->exe, entry->exe_length);
    object->buffer[entry->exe_length] = 0;
    object->dirfd = AT_FDCWD;
    object->path = object->buffer;
    object->flags = 0;
    return 0;
}

/* A descriptor's entry of another process, which the host does not show. */
static bool is_theirs(const struct place *place) {
    return !place->own && place->number >= 0 && !place->followed;
}

static long their_descriptor_exists(const struct place *place) {
    struct host_text answer;
    long result = place_may_read(place);
    if (!result)
        result = ask(place, &answer);
    if (result)
        return result;
    result = answer.length ? 0 : -ENOENT;
    host_text_free(&answer);
    return result;
}

/* Returns 0, or a negative errno when the asker may not follow the link. */
static long host_object(const struct place *place, struct host_object *object) {
    if (place->followed && place->entry->kind == PLACE_PROGRAM)
        return object_of_exe(place, object);
    object->dirfd = own_fd(OWN_PROC);
    if (place->followed) {
        object->path = object->buffer;
        object->flags = 0;
        if (!place->own) {
            object->dirfd = AT_FDCWD;
            return their_target(place, object->buffer);
        }
        jump_path(place, object->buffer);
        return 0;
    }
    if (is_theirs(place)) { /* described after its process's directory */
        format(object->buffer, JUMP_PATH, "%d", place->pid);
        object->path = object->buffer;
        object->flags = AT_SYMLINK_NOFOLLOW;
        return their_descriptor_exists(place);
    }
    object->path = place->inside;
    object->flags = AT_SYMLINK_NOFOLLOW | (place->inside[0] ? 0 : AT_EMPTY_PATH);
    return 0;
}

long place_exists(const struct place *place) {
    struct stat status;
    if (!place->inside[0])
        return 0;
    if (is_theirs(place))
        return their_descriptor_exists(place);
    long result =
        host(__NR_newfstatat, own_fd(OWN_PROC), place->inside, &status, AT_SYMLINK_NOFOLLOW);
    return result == -EACCES && place->followed ? 0 : result;
}

/* What guests see instead of the host's answer about a place inside procfs. */
struct correction {
    u32 uid, gid;
    bool no_size;
    u32 links; /* 0: as the host says */
    u32 mode;  /* the same */
    u64 inode_shift;
};

/* The host shows most of a process's files as root's, because monitors are not dumpable; its own
 * directory has the right owner. The rest of procfs belongs to the host's root, who is nobody in an
 * instance. The sizes of cmdline and fd and the link counts of directories would tell of the host
 * and the monitor. False for what lies beyond a link. */
static bool correct(const struct place *place, struct correction *correction) {
    struct stat status;
    char path[16];
    u8 kind = place->entry->kind;
    *correction = (struct correction){0};
    if (place->followed)
        return false;
    correction->no_size = kind != PLACE_LINK && kind != PLACE_JUMP && kind != PLACE_PROGRAM;
    if (!place->inside[0])
        correction->links = 1; /* unknown */
    else if (place->own && !strcmp(place->entry->name, "task"))
        correction->links = 2 + place->thread->process->thread_count;
    if (is_theirs(place)) {
        correction->no_size = true;
        correction->links = 1;
        correction->mode = kind == PLACE_JUMP ? S_IFLNK | 0700 : S_IFREG | 0400;
        correction->inode_shift = ((u64)place->number + 1) << 24;
    }
    if (!place->pid)
        return true;
    format(path, sizeof(path), "%d", place->pid);
    if (host(__NR_newfstatat, own_fd(OWN_PROC), path, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return false;
    correction->uid = status.st_uid;
    correction->gid = status.st_gid;
    return true;
}

/* stat and statx name the same things by different prefixes. */
#define APPLY(correction, status, prefix)                                                          \
    do {                                                                                           \
        (status).prefix##uid = (correction).uid;                                                   \
        (status).prefix##gid = (correction).gid;                                                   \
        if ((correction).no_size)                                                                  \
            (status).prefix##size = 0;                                                             \
        if ((correction).links)                                                                    \
            (status).prefix##nlink = (correction).links;                                           \
        if ((correction).mode)                                                                     \
            (status).prefix##mode = (u16)(correction).mode;                                        \
        (status).prefix##ino += (correction).inode_shift;                                          \
    } while (0)

long serve_stat(const struct place *place, gva_t buffer) {
    struct host_object object;
    struct stat status;
    struct correction correction;
    long result = host_object(place, &object);
    if (!result)
        result = host(__NR_newfstatat, object.dirfd, object.path, &status, object.flags);
    if (result)
        return result;
    if (correct(place, &correction))
        APPLY(correction, status, st_);
    return copy_to_guest(buffer, &status, sizeof(status));
}

long serve_statx(const struct place *place, int flags, u32 mask, gva_t buffer) {
    struct host_object object;
    struct statx status;
    struct correction correction;
    long result = host_object(place, &object);
    if (!result)
        result = host(__NR_statx, object.dirfd, object.path, object.flags | (flags & STATX_FLAGS),
                      mask, &status);
    if (result)
        return result;
    if (correct(place, &correction))
        APPLY(correction, status, stx_);
    return copy_to_guest(buffer, &status, sizeof(status));
}

long serve_statfs(gva_t buffer) {
    struct statfs system;
    long result = host(__NR_fstatfs, own_fd(OWN_PROC), &system);
    return result ? result : copy_to_guest(buffer, &system, sizeof(system));
}

static bool may_write(const struct place *place) {
    return place->own && (place->entry->kind == PLACE_COMM || place->entry->kind == PLACE_MEMORY);
}

long serve_access(const struct place *place, u32 mode, int flags) {
    struct host_object object;
    if (mode & ~7u)
        return -EINVAL;
    if (place->followed) {
        long result = host_object(place, &object);
        if (result)
            return result;
        /* faccessat2 would need flags only for descriptors and effective ids. */
        if (!object.flags && !flags)
            return host(__NR_faccessat, object.dirfd, object.path, mode);
        return host(__NR_faccessat2, object.dirfd, object.path, mode,
                    object.flags | (flags & AT_EACCESS));
    }
    long result = place_exists(place);
    if (result)
        return result;
    if ((mode & ACCESS_WRITE) && !may_write(place))
        return has_prefix(place->inside, "sys/") ? -EROFS : -EACCES;
    if ((mode & ACCESS_EXECUTE) && place->entry->kind != PLACE_DIRECTORY)
        return -EACCES;
    return mode & (ACCESS_READ | ACCESS_EXECUTE) ? place_may_read(place) : 0;
}
