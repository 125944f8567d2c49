#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <asm/statfs.h>

#include "base/own_fd.h"
#include "base/text.h"
#include "calls/addresses.h"
#include "calls/dispatch.h"
#include "calls/judged.h"
#include "policy/learn.h"
#include "process/thread.h"
#include "procfs/procfs.h"

#define TRIES 40 /* links that lead nowhere yet, as Linux; and others being quicker */
/* What open(2) heeds, and openat2(2) takes. */
#define OPEN_FLAGS                                                                                 \
    (O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC | FASYNC | \
     O_DIRECT | O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_PATH |          \
     __O_TMPFILE)

bool opening_is_judged(const struct opening *opening) {
    return opening->path && *opening->path && !(opening->flags & O_PATH);
}

static u32 wanted_access(u64 flags) {
    u32 access = KW_POLICY_READ | KW_POLICY_WRITE;
    if ((flags & O_ACCMODE) == O_RDONLY)
        access = KW_POLICY_READ;
    else if ((flags & O_ACCMODE) == O_WRONLY)
        access = KW_POLICY_WRITE;
    return flags & (O_TRUNC | __O_TMPFILE) ? access | KW_POLICY_WRITE : access;
}

static bool follows(u64 flags) {
    return !(flags & O_NOFOLLOW) && (flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL);
}

long real_path(int fd, char *path) {
    char link[48];
    format(link, sizeof link, "thread-self/fd/%d", fd);
    long length = host(__NR_readlinkat, own_fd(OWN_PROC), link, path, PATH_MAX);
    if (length >= PATH_MAX)
        return -ENAMETOOLONG;
    if (length >= 0)
        path[length] = 0;
    return length < 0 ? length : 0;
}

/* The real path of what a path leads to. The descriptor may be seen, and replaced, by other threads
 * of the guest: what they put in its place is theirs already. */
static long find_real(int dirfd, const char *path, bool follow, u64 resolve, char *real) {
    struct open_how how = {.flags = O_PATH | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW),
                           .resolve = resolve};
    long fd = host(__NR_openat2, dirfd, path, &how, sizeof how);
    if (fd < 0)
        return fd;
    long result = real_path((int)fd, real);
    host(__NR_close, fd);
    if (result == 0 && real[0] != '/')
        return -EACCES;
    return result;
}

/* The real path of something that is not there, by that of the directory it is to be in. `parent`
 * has PATH_MAX bytes of its own. */
static long find_new(int dirfd, const char *path, u64 resolve, char *parent, char *real) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    u64 length = slash ? (u64)(slash - path) + 1 : 0;
    if (!*name)
        return -EISDIR;
    memcpy(parent, path, length);
    format(parent + length, 2, "%s", length ? "" : ".");
    long result = find_real(dirfd, parent, true, resolve, real);
    u64 size = result ? 0 : strlen(real);
    if (size + strlen(name) + 2 > PATH_MAX)
        return -ENAMETOOLONG;
    if (!result)
        format(real + size, PATH_MAX - size, "%s%s", real[1] ? "/" : "", name);
    return result;
}

/* Absolute, and of plain names: the real path unless there are symbolic links in it. */
static bool is_plain(const char *path) {
    for (const char *at = path; at[0] && at[1]; at++)
        if (at[0] == '/' &&
            (at[1] == '/' || (at[1] == '.' && (!at[2] || at[2] == '/' ||
                                               (at[2] == '.' && (!at[3] || at[3] == '/'))))))
            return false;
    return !path[1] || path[strlen(path) - 1] != '/';
}

static long open_by_name(struct call *call, const char *path, u64 flags, u64 mode) {
    struct open_how how = {.flags = flags,
                           .mode = flags & (O_CREAT | __O_TMPFILE) ? mode : 0,
                           .resolve = RESOLVE_NO_SYMLINKS};
    const u64 arg[6] = {(u64)AT_FDCWD, (u64)path, (u64)&how, sizeof how};
    return interrupted(call->thread, RESTART_SYS,
                       host_interruptible(call->thread, __NR_openat2, arg));
}

static bool is_procfs(int fd) {
    struct statfs system;
    return host(__NR_fstatfs, fd, &system) < 0 || system.f_type == PROC_SUPER_MAGIC;
}

/* Opens anew what is held. */
static long reopen(struct call *call, int held, u64 flags) {
    char path[48];
    flags &= ~(u64)(O_CREAT | O_EXCL | O_NOFOLLOW);
    if (wanted_access(flags) & KW_POLICY_WRITE && is_procfs(held))
        return -EACCES;
    format(path, sizeof path, "thread-self/fd/%d", held);
    const u64 arg[6] = {(u64)own_fd(OWN_PROC), (u64)path, flags, 0};
    return interrupted(call->thread, RESTART_SYS,
                       host_interruptible(call->thread, __NR_openat, arg));
}

/* Judges what a descriptor out of the guest's reach leads to. What has no path is no file. */
static long permit_held(struct call *call, int held, u64 flags, char *real) {
    long result = real_path(held, real);
    if (!result && real[0] == '/')
        result = permit(call->thread, judge_path(real, wanted_access(flags)), real);
    return result;
}

static int hold(struct thread *thread, int fd) {
    lock_take(&thread->process->limits_lock);
    int held = own_fd_borrow(fd);
    lock_release(&thread->process->limits_lock);
    return held;
}

/* Opens an object that has no name, or one that this process cannot reach from the root. */
static long open_held(struct call *call, const struct opening *opening, char *real) {
    struct open_how how = {.flags = O_PATH | O_CLOEXEC | (follows(opening->flags) ? 0 : O_NOFOLLOW),
                           .resolve = opening->resolve};
    long fd = host(__NR_openat2, opening->dirfd, opening->path, &how, sizeof how);
    if (fd < 0)
        return fd;
    int held = hold(call->thread, (int)fd);
    host(__NR_close, fd);
    if (held < 0)
        return held;
    long result = permit_held(call, held, opening->flags, real);
    if (!result)
        result = reopen(call, held, opening->flags);
    host(__NR_close, held);
    return result;
}

/* What became of one attempt: a result, or what to try next. */
enum attempt { DONE, AGAIN };

struct search {
    struct opening opening; /* of what is left to be found */
    bool was_gone;          /* when it was to be opened by its name */
    char *real, *text, *parent;
};

/* `real` is the name of something that is not there: where it is a symbolic link, what that leads
 * to is to be made instead. */
static bool follow_new(struct search *search) {
    char *real = search->real, *text = search->text;
    long length = host(__NR_readlinkat, AT_FDCWD, real, text, PATH_MAX - 1);
    if (length <= 0)
        return false;
    text[length] = 0;
    *strrchr(real, '/') = 0;
    if (text[0] == '/')
        format(search->parent, PATH_MAX, "%s", text);
    else
        format(search->parent, PATH_MAX, "%s/%s", real, text);
    memcpy(text, search->parent, PATH_MAX);
    search->opening.dirfd = AT_FDCWD;
    search->opening.path = text;
    search->opening.resolve = 0;
    return true;
}

static enum attempt attempt(struct call *call, struct search *search, long *result) {
    struct opening *opening = &search->opening;
    u64 flags = opening->flags;
    bool follow = follows(flags), new = false;
    u32 access = wanted_access(flags);
    *result = find_real(opening->dirfd, opening->path, follow, opening->resolve, search->real);
    if (*result == -ENOENT && flags & O_CREAT) {
        *result =
            find_new(opening->dirfd, opening->path, opening->resolve, search->parent, search->real);
        if (!*result && follow && !opening->resolve && follow_new(search))
            return AGAIN;
        new = true;
        access |= KW_POLICY_WRITE;
    } else if (!*result && (flags & O_CREAT)) {
        if (flags & O_EXCL)
            *result = -EEXIST;
        flags &= ~(u64)O_CREAT; /* it was judged as something that is there */
    }
    if (!*result)
        *result = permit(call->thread, judge_path(search->real, access), search->real);
    if (*result)
        return DONE;
    if (learning() && new &&flags & O_EXCL)
        learn_made(call->nr, search->real);
    *result = open_by_name(call, search->real, flags, opening->mode);
    bool gone = *result == -ENOENT && !new;
    if ((*result == -ELOOP && follow) || (gone && !search->was_gone)) {
        search->was_gone = gone;
        return AGAIN;
    }
    /* Its name has gone, or cannot be reached from the root by this process. */
    if (gone || (*result == -EACCES && !new))
        *result = open_held(call, opening, search->real);
    return DONE;
}

/* `linked`: the opening's path as an absolute one of plain names, with a link in it; or NULL. */
static long search(struct call *call, const struct opening *opening, const char *linked) {
    struct search search = {.opening = *opening};
    long result = -ENOMEM;
    search.real = scratch_take(call->thread, PATH_MAX);
    search.text = scratch_take(call->thread, PATH_MAX);
    search.parent = scratch_take(call->thread, PATH_MAX);
    if (!search.parent)
        return -ENOMEM;
    for (u32 i = 0; i < TRIES; i++)
        if (attempt(call, &search, &result) == DONE) {
            if (linked && result >= 0)
                links_learn(call->thread, linked, search.real);
            return result;
        }
    return result < 0 ? result : -ELOOP;
}

/* The path from the root; NULL where that takes more than asking for the working directory. */
static const char *absolute(struct thread *thread, const struct opening *opening) {
    if (opening->path[0] == '/')
        return opening->path;
    char *path = opening->dirfd == AT_FDCWD ? scratch_take(thread, PATH_MAX) : NULL;
    long length = path ? host(__NR_getcwd, path, PATH_MAX) : 0;
    if (length <= 0 || path[0] != '/')
        return NULL;
    length -= path[1] ? 1 : 2; /* without the NUL, and without the root's slash */
    u64 size = strlen(opening->path);
    if ((u64)length + 1 + size >= PATH_MAX)
        return NULL;
    path[length] = '/';
    memcpy(path + length + 1, opening->path, size + 1);
    return path;
}

long judged_open(struct call *call, const struct opening *given) {
    struct opening opening = *given;
    if (paths_are_unknown())
        return -EACCES;
    if (call->nr != __NR_openat2) {
        opening.flags &= OPEN_FLAGS;
        opening.mode &= 07777;
    }
    /* Most paths have no symbolic link in them. What is learnt are the real ones of what is there.
     */
    u32 access = wanted_access(opening.flags) | (opening.flags & O_CREAT ? KW_POLICY_WRITE : 0);
    bool at_once = !opening.resolve && !learning();
    const char *path = at_once ? absolute(call->thread, &opening) : NULL, *linked = NULL;
    if (path)
        path = links_follow(call->thread, path, follows(opening.flags));
    if (path && is_plain(path) && judge_path(path, access).action == KW_POLICY_ALLOW) {
        long result = open_by_name(call, path, opening.flags, opening.mode);
        if (result != -ELOOP && (result != -EACCES || path == opening.path))
            return result;
        if (result == -ELOOP)
            linked = path;
    }
    return search(call, &opening, linked);
}

/* A pipe or a terminal that belongs to somebody outside: the same open file serves as well. */
static long open_again(struct call *call, int number, u64 flags, char *real) {
    int held = hold(call->thread, number);
    if (held < 0)
        return -EACCES;
    long result = permit_held(call, held, flags, real);
    if (!result)
        result = procfs_duplicate(held, (int)flags);
    host(__NR_close, held);
    return result;
}

long judged_open_in_proc(struct call *call, const struct opening *opening, const char *inside) {
    char *real = scratch_take(call->thread, PATH_MAX);
    struct procfs_target *target = scratch_take(call->thread, sizeof *target);
    if (!real || !target)
        return -ENOMEM;
    if (paths_are_unknown())
        return -EACCES;
    long result = procfs_target(call->thread, inside, target);
    if (result == -ENOTTY) {
        if (format(real, PATH_MAX, "/proc/%s", inside) >= PATH_MAX)
            return -ENAMETOOLONG;
        result = permit(call->thread, judge_path(real, wanted_access(opening->flags)), real);
        if (result)
            return result;
        if (call->nr == __NR_openat2)
            return procfs_openat2(call->thread, inside, opening->path, opening->flags,
                                  opening->mode, opening->resolve);
        return procfs_call(call, inside);
    }
    if (result)
        return result;
    if (opening->resolve & (RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS))
        return -ELOOP;
    if (opening->resolve)
        return -EACCES;
    struct opening beyond = {
        .dirfd = target->dirfd, .path = target->path, .flags = opening->flags & OPEN_FLAGS};
    if (target->is_link) /* the link's end is meant */
        beyond.flags &= ~(u64)O_NOFOLLOW;
    result = open_held(call, &beyond, real);
    if (result == -EACCES && target->number >= 0 &&
        !verdict_refuses(judge_path(real, wanted_access(beyond.flags))))
        result = open_again(call, target->number, beyond.flags, real);
    return result;
}
