/* Opening: what a path leads to is held, judged by its real path, and that very object is opened.
 * What is made is made by its last name, in the directory that was judged, where nothing was. */
#include <linux/fcntl.h>
#include <linux/openat2.h>

#include "base/text.h"
#include "broker/perform.h"
#include "jail/kernel.h"
#include "policy/learn.h"

#define TRIES 40 /* others being quicker */
/* What open(2) heeds, and openat2(2) takes. */
#define OPEN_FLAGS                                                                                 \
    (O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC | FASYNC | \
     O_DIRECT | O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_PATH |          \
     __O_TMPFILE)
#define TERMINAL_MAJOR 5 /* of /dev/tty, the caller's own terminal; its minor is 0 */
#define SLAVES_MAJOR 136 /* and seven more: pseudo-terminals */

struct opening {
    int dirfd;
    const char *path;
    u64 flags, mode, resolve; /* as in struct open_how */
};

static u32 wanted_access(u64 flags) {
    u32 access = KW_POLICY_READ | KW_POLICY_WRITE;
    if ((flags & O_ACCMODE) == O_RDONLY)
        access = KW_POLICY_READ;
    else if ((flags & O_ACCMODE) == O_WRONLY)
        access = KW_POLICY_WRITE;
    return flags & (O_TRUNC | __O_TMPFILE) ? access | KW_POLICY_WRITE : access;
}

static enum path_end end_of(u64 flags) {
    bool follows = !(flags & O_NOFOLLOW) && (flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL);
    return follows ? END_FOLLOWED : END_OBJECT;
}

long permit_object(const struct caller *caller, int object, u32 access) {
    char real[PATH_MAX];
    long result = path_real(object, real);
    if (result || real[0] != '/')
        return result;
    return permit_caller(caller, judge_path(real, access), real);
}

static bool is_device(int fd, u32 major, u32 minor) {
    struct statx found;
    return host_stat(fd, "", AT_EMPTY_PATH, &found) == 0 && (found.stx_mode & S_IFMT) == S_IFCHR &&
           found.stx_rdev_major == major && found.stx_rdev_minor == minor;
}

static long open_held(int object, u64 flags, u64 mode) {
    char name[HELD_SIZE];
    path_held(object, name);
    return host(__NR_openat, AT_FDCWD, name, flags, mode);
}

/* /dev/tty means the terminal of whoever opens it. */
static long open_terminal(const struct caller *caller, u64 flags) {
    char path[32];
    u32 device = caller_terminal(caller), major = device >> 8 & 0xfff;
    u32 minor = (device & 0xff) | (device >> 12 & 0xfff00);
    if (major < SLAVES_MAJOR || major > SLAVES_MAJOR + 7)
        return -ENXIO;
    format(path, sizeof path, "/dev/pts/%u", minor);
    long slave = host(__NR_openat, AT_FDCWD, path, O_PATH | O_CLOEXEC, 0);
    if (slave < 0)
        return slave;
    long result = is_device((int)slave, major, minor) ? open_held((int)slave, flags, 0) : -ENXIO;
    host(__NR_close, slave);
    return result;
}

/* What tells a process of itself is its own to read, whatever ids it has by now. */
static long open_own(const struct caller *caller, int object, u64 flags) {
    char real[PATH_MAX], name[HELD_SIZE];
    struct statx found;
    if (path_real(object, real) < 0 || !path_is_proc(object) || !path_own(caller, real) ||
        host_stat(object, "", AT_EMPTY_PATH, &found) < 0)
        return -EACCES;
    path_held(object, name);
    return caller_open_own(name, flags, (found.stx_mode & S_IFMT) == S_IFDIR);
}

/* Opens what is held. It must not become the worker's terminal. */
static long reopen(const struct caller *caller, int object, const struct opening *opening) {
    struct statx found;
    u64 flags = (opening->flags & ~(u64)(O_CREAT | O_EXCL | O_NOFOLLOW)) | O_NOCTTY;
    long result = host_stat(object, "", AT_EMPTY_PATH, &found);
    if (result < 0)
        return result;
    if ((found.stx_mode & S_IFMT) == S_IFLNK)
        return -ELOOP;
    if (is_device(object, TERMINAL_MAJOR, 0))
        return open_terminal(caller, flags);
    result = open_held(object, flags, opening->mode);
    return result == -EACCES ? open_own(caller, object, flags) : result;
}

/* What somebody else has put where all may: who means to make a file there is not to be handed it
 * (fs.protected_regular and fs.protected_fifos, which nobody can read here, as nearly every system
 * sets them). */
static bool is_planted(const struct caller *caller, const struct target *target,
                       const struct statx *found) {
    u32 type = found->stx_mode & S_IFMT;
    struct statx directory;
    if ((type != S_IFREG && type != S_IFIFO) || found->stx_uid == caller->uid[3] ||
        target->directory < 0 || host_stat(target->directory, "", AT_EMPTY_PATH, &directory) < 0)
        return false;
    return directory.stx_mode & S_ISVTX && directory.stx_mode & S_IWOTH &&
           directory.stx_uid != found->stx_uid;
}

/* Opens what is there. */
static long open_object(const struct caller *caller, const struct target *target,
                        const struct opening *opening) {
    u64 flags = opening->flags;
    if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
        return -EEXIST;
    long result = permit_object(caller, target->object, wanted_access(flags));
    if (result)
        return result;
    if (flags & O_CREAT) {
        struct statx found;
        result = host_stat(target->object, "", AT_EMPTY_PATH, &found);
        if (result < 0 || (found.stx_mode & S_IFMT) == S_IFDIR)
            return result < 0 ? result : -EISDIR;
        if (is_planted(caller, target, &found))
            return -EACCES;
    }
    return reopen(caller, target->object, opening);
}

/* Makes what is not there. -EEXIST: it is by now. */
static long make(const struct caller *caller, const struct target *target,
                 const struct opening *opening) {
    char real[PATH_MAX];
    if (target->directory < 0)
        return -ENOENT;
    if (strchr(target->name, '/'))
        return -EISDIR;
    long result = path_real_name(target, real);
    if (!result) {
        u32 access = wanted_access(opening->flags) | KW_POLICY_WRITE;
        result = permit_caller(caller, judge_path(real, access), real);
    }
    if (result)
        return result;
    if (learning() && opening->flags & O_EXCL)
        learn_made(caller->request->nr, real);
    return host(__NR_openat, target->directory, target->name,
                opening->flags | O_EXCL | O_NOFOLLOW | O_NOCTTY, opening->mode);
}

/* The directory that a name is to be made in, which the kernel finds within the limits. */
static long find_new_within(const struct caller *caller, const struct opening *opening,
                            struct target *target) {
    static char parent[PATH_MAX];
    const char *slash = strrchr(opening->path, '/');
    u64 length = slash ? (u64)(slash - opening->path) + 1 : 0;
    memcpy(parent, opening->path, length);
    format(parent + length, 2, "%s", length ? "" : ".");
    long result =
        path_find_within(caller, opening->dirfd, parent, END_FOLLOWED, opening->resolve, target);
    format(target->name, sizeof target->name, "%s", opening->path + length);
    target->directory = target->object;
    target->object = -1;
    return result;
}

static long find(const struct caller *caller, const struct opening *opening,
                 struct target *target) {
    enum path_end end = end_of(opening->flags);
    if (!opening->resolve)
        return path_find(caller, opening->dirfd, opening->path, end, target);
    long result =
        path_find_within(caller, opening->dirfd, opening->path, end, opening->resolve, target);
    bool missing = result == -ENOENT && opening->flags & O_CREAT && !path_is_special(opening->path);
    return missing ? find_new_within(caller, opening, target) : result;
}

/* `lost`: others have made meanwhile what was to be made. */
static long open_once(const struct caller *caller, const struct opening *opening, bool *lost) {
    static struct target target;
    long result = find(caller, opening, &target);
    *lost = false;
    if (result)
        return result;
    if (target.object >= 0)
        result = open_object(caller, &target, opening);
    else
        result = opening->flags & O_CREAT ? make(caller, &target, opening) : -ENOENT;
    *lost = result == -EEXIST && target.object < 0 && !(opening->flags & O_EXCL);
    path_close(&target);
    return result;
}

/* What the kernel says about flags, which it looks at first. */
static long check(const struct open_how *how) {
    long result = host(__NR_openat2, -1, 0, how, sizeof *how);
    return result == -EFAULT ? 0 : result;
}

static long read_how(const struct caller *caller, u64 from, u64 size, struct open_how *how) {
    u8 rest[PAGE_SIZE - sizeof *how];
    if (size < sizeof *how)
        return -EINVAL;
    if (size > PAGE_SIZE)
        return -E2BIG;
    long result = caller_read(caller, from, how, sizeof *how);
    if (!result)
        result = caller_read(caller, from + sizeof *how, rest, size - sizeof *how);
    for (u64 i = 0; !result && i < size - sizeof *how; i++)
        if (rest[i])
            result = -E2BIG;
    return result;
}

/* The call in its general form. */
static long describe(const struct caller *caller, struct opening *opening, u64 *path) {
    const struct broker_request *request = caller->request;
    const u64 *arg = request->arg;
    struct open_how how = {0};
    long result = 0;
    *opening = (struct opening){.dirfd = AT_FDCWD};
    *path = arg[0];
    if (request->nr == __NR_openat || request->nr == __NR_openat2) {
        opening->dirfd = (int)arg[0];
        *path = arg[1];
    }
    if (request->nr == __NR_open)
        how = (struct open_how){.flags = (u32)arg[1], .mode = arg[2]};
    else if (request->nr == __NR_creat)
        how = (struct open_how){.flags = O_CREAT | O_WRONLY | O_TRUNC, .mode = arg[1]};
    else if (request->nr == __NR_openat)
        how = (struct open_how){.flags = (u32)arg[2], .mode = arg[3]};
    else
        result = read_how(caller, arg[2], arg[3], &how);
    if (request->nr != __NR_openat2) {
        how.flags &= OPEN_FLAGS;
        how.mode = how.flags & (O_CREAT | __O_TMPFILE) ? how.mode & 07777 : 0;
    }
    if (request->nr == __NR_openat2) {
        caller->told->arg[2] = how.flags;
        caller->told->arg[3] = how.mode;
    }
    opening->flags = how.flags;
    opening->mode = how.mode;
    opening->resolve = how.resolve;
    return result ? result : check(&how);
}

long perform_open(const struct caller *caller, u32 *flags) {
    static char path[PATH_MAX];
    struct opening opening;
    u64 from;
    long result = describe(caller, &opening, &from);
    if (!result)
        result = caller_string(caller, from, path, sizeof path);
    if (result < 0)
        return result;
    /* No O_PATH descriptor can be handed to a caller; where it is told by a register, as programs
     * do without this call, it makes the call itself. */
    if (opening.flags & O_PATH)
        return -ENOSYS;
    opening.path = path;
    *flags = opening.flags & O_CLOEXEC;
    bool lost = true;
    for (u32 i = 0; i < TRIES && lost; i++)
        result = open_once(caller, &opening, &lost);
    return result == -EINTR ? -BROKER_RESTARTS : result;
}

#define MEMFD_NAME_MAX 249 /* bytes, as the kernel's own limit */

long perform_memfd(const struct caller *caller, u32 *flags) {
    static char path[PATH_MAX] = "/memfd:";
    u64 wanted = caller->request->arg[1], start = strlen("/memfd:");
    long length = caller_string(caller, caller->request->arg[0], path + start, MEMFD_NAME_MAX + 1);
    if (length < 0)
        return length == -ENAMETOOLONG ? -EINVAL : length;
    if (verdict_stops(judge_path(path, KW_POLICY_EXECUTE))) {
        if (wanted & MFD_EXEC)
            return -EACCES;
        wanted |= MFD_NOEXEC_SEAL;
    }
    *flags = wanted & MFD_CLOEXEC ? O_CLOEXEC : 0;
    return host(__NR_memfd_create, path + start, wanted);
}
