/* Calls with paths. The host kernel resolves the copied path beneath the instance's root; what
 * leads into the guest's /proc is answered by the procfs module instead. */
#include <linux/fcntl.h>
#include <linux/inotify.h>
#include <linux/limits.h>
#include <linux/openat2.h>

#include "base/text.h"
#include "calls/broker.h"
#include "calls/call.h"
#include "calls/dispatch.h"
#include "calls/handlers.h"
#include "calls/judged.h"
#include "process/exec.h"
#include "process/thread.h"
#include "procfs/procfs.h"

#define PATHS_MAX 2

/* A path argument on its way. */
struct place {
    int dirfd;
    const char *path;
    bool follow;
};

static bool open_follows(u64 flags) {
    return !(flags & O_NOFOLLOW) && (flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL);
}

/* Whether the call follows a symbolic link that is the last part of path number `index`. */
static bool follows_last(const struct call *call, u32 index) {
    switch (call->nr) {
    case __NR_open:
        return open_follows(call->arg[1]);
    case __NR_openat:
        return open_follows(call->arg[2]);
    case __NR_lstat:
    case __NR_unlink:
    case __NR_unlinkat:
    case __NR_rmdir:
    case __NR_mkdir:
    case __NR_mkdirat:
    case __NR_mknod:
    case __NR_mknodat:
    case __NR_symlink:
    case __NR_symlinkat:
    case __NR_link:
    case __NR_rename:
    case __NR_renameat:
    case __NR_renameat2:
    case __NR_readlink:
    case __NR_readlinkat:
    case __NR_lchown:
    case __NR_lsetxattr:
    case __NR_lgetxattr:
    case __NR_llistxattr:
    case __NR_lremovexattr:
        return false;
    case __NR_linkat:
        return index == 0 && (call->arg[4] & AT_SYMLINK_FOLLOW);
    case __NR_statx:
        return !(call->arg[2] & AT_SYMLINK_NOFOLLOW);
    case __NR_newfstatat:
    case __NR_utimensat:
    case __NR_faccessat2:
    case NR_FCHMODAT2:
        return !(call->arg[3] & AT_SYMLINK_NOFOLLOW);
    case __NR_fchownat:
        return !(call->arg[4] & AT_SYMLINK_NOFOLLOW);
    case __NR_inotify_add_watch:
        return !(call->arg[2] & IN_DONT_FOLLOW);
    default:
        return true;
    }
}

/* Collects the path arguments; NULL and the descriptor itself ("") are no paths. Returns their
 * count. */
static u32 find_places(const struct call *call, const struct call_entry *entry,
                       const struct host_args *args, struct place place[PATHS_MAX]) {
    u32 i, count = 0;

    for (i = 0; i < array_size(entry->arg) && count < PATHS_MAX; i++) {
        const char *path = (const char *)args->value[i];
        bool relative = i > 0 && entry->arg[i - 1].kind == ARG_DIRFD;
        if (entry->arg[i].kind != ARG_PATH)
            continue;
        if (path && !*path && call->nr != __NR_readlinkat)
            path = NULL;
        place[count].dirfd = relative ? (int)args->value[i - 1] : AT_FDCWD;
        place[count].path = path;
        place[count].follow = follows_last(call, count);
        count++;
    }
    return count;
}

bool broker_may_be_proc(long result) {
    return result == -EACCES || (result == -ENOENT && (exec_flags() & EXEC_PROC_UNSEALED));
}

/* Asks procfs about each place, with `before` only about those that may start there. Returns the
 * inner path of the first that it claims (in scratch memory), or NULL. */
static char *claimed(struct thread *thread, const struct place *place, u32 count, bool before,
                     char **inside) {
    u32 i;

    for (i = 0; i < count; i++) {
        const struct place *p = &place[i];
        if (!p->path || (before && !procfs_may_start_in(thread, p->dirfd, p->path)))
            continue;
        if (!*inside)
            *inside = scratch_take(thread, PATH_MAX);
        if (*inside && procfs_claims(thread, p->dirfd, p->path, p->follow, *inside))
            return *inside;
    }
    return NULL;
}

/* fstat in disguise: on a descriptor that may stand for something in procfs. */
static bool is_fstat(const struct call *call, const struct host_args *args) {
    const char *path = (const char *)args->value[1];
    if (call->nr != __NR_newfstatat && call->nr != __NR_statx)
        return false;
    return (int)args->value[0] >= 0 && (!path || !*path) &&
           (call->arg[call->nr == __NR_statx ? 2 : 3] & AT_EMPTY_PATH);
}

/* Opens by the policy. */
static long open_judged(struct call *call, const struct opening *opening) {
    struct thread *thread = call->thread;
    struct place place = {opening->dirfd, opening->path, open_follows(opening->flags)};
    char *inside = NULL;
    if (!claimed(thread, &place, 1, true, &inside)) {
        long result = judged_open(call, opening);
        if (likely(!broker_may_be_proc(result)) || !claimed(thread, &place, 1, false, &inside))
            return result;
    }
    return judged_open_in_proc(call, opening, inside);
}

/* Whether the call is one whose paths the policy judges: then *result is what became of it. */
static bool is_judged(struct call *call, const struct host_args *args, long *result) {
    const u64 *v = args->value;
    struct opening opening = {AT_FDCWD, (const char *)v[0], v[1], v[2], 0};
    if (change_is_judged(call->nr)) {
        *result = judged_change(call, args);
        return true;
    }
    if (call->nr == __NR_creat)
        opening =
            (struct opening){AT_FDCWD, (const char *)v[0], O_CREAT | O_WRONLY | O_TRUNC, v[1], 0};
    else if (call->nr == __NR_openat)
        opening = (struct opening){(int)v[0], (const char *)v[1], v[2], v[3], 0};
    else if (call->nr != __NR_open)
        return false;
    if (!opening_is_judged(&opening))
        return false;
    *result = open_judged(call, &opening);
    return true;
}

long call_brokered(struct call *call) {
    struct thread *thread = call->thread;
    const struct call_entry *entry = &call_table[call->nr];
    struct place place[PATHS_MAX];
    struct host_args args;
    char *inside = NULL;
    u32 count;
    long result = translate_args(call, entry, &args);

    if (result)
        return result;
    if (unlikely(paths_are_judged()) && is_judged(call, &args, &result))
        return result;
    if (is_fstat(call, &args)) {
        result = procfs_fd_call(call, (int)args.value[0]);
        if (result != -ENOTTY)
            return result;
    }
    count = find_places(call, entry, &args, place);
    if (!claimed(thread, place, count, true, &inside)) {
        result = make_host_call(call, entry, &args);
        if (result == 0 && unlikely(procfs_was_sealed(call)))
            return procfs_call(call, "");
        if (likely(!broker_may_be_proc(result)) || !claimed(thread, place, count, false, &inside))
            return result;
    }
    return procfs_call(call, inside);
}

/* Copies struct open_how of the size the guest says, as extensible structures are: unknown parts
 * must be zero. */
static long copy_how(gva_t from, u64 size, struct open_how *how) {
    u8 rest[64];
    u64 done = sizeof(*how);

    if (size < sizeof(*how))
        return -EINVAL;
    if (size > PAGE_SIZE)
        return -E2BIG;
    if (copy_from_guest(how, from, sizeof(*how)))
        return -EFAULT;
    while (done < size) {
        u64 i, part = min_u64(size - done, sizeof(rest));
        if (copy_from_guest(rest, from + done, part))
            return -EFAULT;
        for (i = 0; i < part; i++)
            if (rest[i])
                return -E2BIG;
        done += part;
    }
    return 0;
}

long sys_openat2(struct call *call) {
    struct thread *thread = call->thread;
    const struct call_entry *entry = &call_table[__NR_openat2];
    struct host_args args;
    struct open_how how;
    struct place place;
    char *inside = NULL;
    long result = copy_how(call->arg[2], call->arg[3], &how);

    if (!result)
        result = translate_args(call, entry, &args);
    if (result)
        return result;
    args.value[2] = (u64)&how;
    args.value[3] = sizeof(how);
    place.dirfd = (int)args.value[0];
    place.path = (const char *)args.value[1];
    place.follow = open_follows(how.flags);
    if (!place.path)
        return -EFAULT;
    struct opening opening = {place.dirfd, place.path, how.flags, how.mode, how.resolve};
    if (unlikely(paths_are_judged()) && opening_is_judged(&opening)) {
        thread->call_arg[2] = how.flags; /* for what is told and asked: not where they are, */
        thread->call_arg[3] = how.mode;  /* where others might change them */
        return open_judged(call, &opening);
    }
    if (!*place.path || !claimed(thread, &place, 1, true, &inside)) {
        result = make_host_call(call, entry, &args);
        if (!*place.path || !broker_may_be_proc(result) ||
            !claimed(thread, &place, 1, false, &inside))
            return result;
    }
    return procfs_openat2(thread, inside, place.path, how.flags, how.mode, how.resolve);
}
