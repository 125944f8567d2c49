/* Calls on what a magic link of the own process leads to ("/proc/self/fd/5/name"): the call is made
 * on the host with the link's real name, in which no other link of procfs can take part. Calls that
 * know no directory descriptor become those that do. */
#include <linux/fcntl.h>
#include <linux/limits.h>

#include "base/host.h"
#include "calls/dispatch.h"
#include "process/exec.h"
#include "process/thread.h"
#include "procfs/procfs.h"
#include "procfs/serve.h"

/* Calls (path, ...) and their counterparts (directory, path, ..., flags). */
static const struct {
    u16 nr, at_nr;
    u8 args; /* of the call itself */
    int flags;
} counterparts[] = {
    {__NR_mkdir, __NR_mkdirat, 2, 0},
    {__NR_rmdir, __NR_unlinkat, 1, AT_REMOVEDIR},
    {__NR_unlink, __NR_unlinkat, 1, 0},
    {__NR_chmod, __NR_fchmodat, 2, 0},
    {__NR_chown, __NR_fchownat, 3, 0},
    {__NR_lchown, __NR_fchownat, 3, AT_SYMLINK_NOFOLLOW},
    {__NR_mknod, __NR_mknodat, 3, 0},
    {__NR_utimes, __NR_futimesat, 2, 0},
    {__NR_readlink, __NR_readlinkat, 3, 0},
    {__NR_stat, __NR_newfstatat, 2, 0},
    {__NR_lstat, __NR_newfstatat, 2, AT_SYMLINK_NOFOLLOW},
    {__NR_access, __NR_faccessat, 2, 0},
};

/* Calls on paths and their counterparts on descriptors. */
static const struct {
    u16 nr, fd_nr;
} descriptor_calls[] = {
    {__NR_setxattr, __NR_fsetxattr},   {__NR_getxattr, __NR_fgetxattr},
    {__NR_listxattr, __NR_flistxattr}, {__NR_removexattr, __NR_fremovexattr},
    {__NR_truncate, __NR_ftruncate},   {__NR_statfs, __NR_fstatfs},
    {__NR_chdir, __NR_fchdir},
};

static long call6(long nr, const u64 *v) {
    return host6(nr, (long)v[0], (long)v[1], (long)v[2], (long)v[3], (long)v[4], (long)v[5]);
}

/* The index of the path among the arguments. */
static u32 path_index(const struct call_entry *entry) {
    u32 i = 0;
    while (i < array_size(entry->arg) - 1 && entry->arg[i].kind != ARG_PATH)
        i++;
    return i;
}

/* For calls that know paths only: the target by the name it has in the file system, which is all
 * they need unless it has none. */
static long by_name(struct call *call, const struct call_entry *entry, struct host_args *args,
                    const struct place *place) {
    char link[64], *text = scratch_take(call->thread, 2 * PATH_MAX);
    const char *name = place->is_cwd ? "cwd" : link;
    char path[80];
    if (!text)
        return -ENOMEM;
    if (place->entry->kind == PLACE_PROGRAM)
        format(link, sizeof(link), "fd/%d", own_fd(OWN_PROGRAM));
    else if (place->number < 0)
        format(link, sizeof(link), "root");
    else
        format(link, sizeof(link), "fd/%d", place->number);
    format(path, sizeof(path), "thread-self/%s", name);
    long length = host(__NR_readlinkat, own_fd(OWN_PROC), path, text, PATH_MAX);
    if (length < 0)
        return length;
    if (length == 0 || text[0] != '/')
        return -EACCES;
    format(text + length, PATH_MAX, "%s%s", place->beyond[0] ? "/" : "", place->beyond);
    args->value[path_index(entry)] = (u64)text;
    return make_host_call(call, entry, args);
}

static long by_descriptor(u16 fd_nr, struct host_args *args, const char *path) {
    int how = fd_nr == __NR_ftruncate ? O_WRONLY : fd_nr == __NR_fchdir ? O_PATH : O_RDONLY;
    long fd = host(__NR_openat, own_fd(OWN_PROC), path, how | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
    if (fd < 0)
        return fd;
    args->value[0] = (u64)fd;
    long result = call6(fd_nr, args->value);
    host(__NR_close, fd);
    return result;
}

long serve_beyond(struct call *call, const struct place *place) {
    const struct call_entry *entry = &call_table[call->nr];
    struct host_args args;
    char path[JUMP_PATH];
    if (!place->own)
        return place_exists(place) ? -ENOENT : -EACCES;
    long result = translate_args(call, entry, &args);
    if (result)
        return result;
    jump_path(place, path);
    if (entry->arg[0].kind == ARG_DIRFD && entry->arg[1].kind == ARG_PATH) {
        args.value[0] = (u64)own_fd(OWN_PROC);
        args.value[1] = (u64)path;
        return make_host_call(call, entry, &args);
    }
    for (u32 i = 0; i < array_size(counterparts); i++) {
        if (counterparts[i].nr != call->nr)
            continue;
        u64 value[6] = {(u64)own_fd(OWN_PROC), (u64)path};
        for (u32 k = 1; k < counterparts[i].args; k++)
            value[k + 1] = args.value[k];
        value[counterparts[i].args + 1] = (u64)counterparts[i].flags;
        return call6(counterparts[i].at_nr, value);
    }
    for (u32 i = 0; i < array_size(descriptor_calls); i++)
        if (descriptor_calls[i].nr == call->nr)
            return by_descriptor(descriptor_calls[i].fd_nr, &args, path);
    return by_name(call, entry, &args, place);
}

/* The two places of link, rename and symlink, whichever variant. */
struct pair {
    long nr; /* linkat, renameat2 or symlinkat */
    int dirfd[2];
    const char *path[2];
    u64 flags;
};

static void take_pair(const struct call *call, const struct host_args *args, struct pair *pair) {
    const u64 *v = args->value;
    bool at = call->nr == __NR_linkat || call->nr == __NR_renameat || call->nr == __NR_renameat2;
    *pair = (struct pair){.nr = __NR_renameat2, .dirfd = {AT_FDCWD, AT_FDCWD}};
    if (call->nr == __NR_link || call->nr == __NR_linkat)
        pair->nr = __NR_linkat;
    if (call->nr == __NR_symlink || call->nr == __NR_symlinkat) {
        bool has_directory = call->nr == __NR_symlinkat;
        pair->nr = __NR_symlinkat;
        pair->path[0] = (const char *)v[0];
        pair->dirfd[1] = has_directory ? (int)v[1] : AT_FDCWD;
        pair->path[1] = (const char *)v[has_directory ? 2 : 1];
        return;
    }
    pair->path[0] = (const char *)v[at ? 1 : 0];
    pair->path[1] = (const char *)v[at ? 3 : 1];
    if (at) {
        pair->dirfd[0] = (int)v[0];
        pair->dirfd[1] = (int)v[2];
    }
    if (call->nr == __NR_linkat || call->nr == __NR_renameat2)
        pair->flags = v[4];
}

/* What Linux says about a place inside procfs in such a call: nothing can be made or moved there.
 */
static long refuse_place(const struct pair *pair, u32 index, long found) {
    if (pair->nr == __NR_renameat2)
        return -EXDEV;
    if (found)
        return found;
    return index ? -EEXIST : -EXDEV;
}

/* Replaces one of the two places when it is one beyond procfs. Returns an error for one inside. */
static long replace_place(struct call *call, struct pair *pair, u32 index) {
    struct place place;
    bool follow = pair->nr == __NR_linkat && index == 0 && (pair->flags & AT_SYMLINK_FOLLOW);
    char *inside = scratch_take(call->thread, PATH_MAX);
    char *path = scratch_take(call->thread, JUMP_PATH);
    if (!inside || !path)
        return -ENOMEM;
    if (!pair->path[index] ||
        !procfs_claims(call->thread, pair->dirfd[index], pair->path[index], follow, inside))
        return 0;
    long result = place_find(call->thread, inside, &place);
    if (!result && !place.followed)
        result = place_exists(&place);
    if (result || !place.followed)
        return refuse_place(pair, index, result);
    if (!place.own)
        return -EACCES;
    jump_path(&place, path);
    pair->dirfd[index] = own_fd(OWN_PROC);
    pair->path[index] = path;
    return 0;
}

long serve_two_paths(struct call *call) {
    const struct call_entry *entry = &call_table[call->nr];
    struct host_args args;
    struct pair pair;
    long result = translate_args(call, entry, &args);
    if (result)
        return result;
    take_pair(call, &args, &pair);
    if (pair.nr != __NR_symlinkat)
        result = replace_place(call, &pair, 0);
    if (!result)
        result = replace_place(call, &pair, 1);
    if (result)
        return result;
    if (pair.nr == __NR_symlinkat)
        return host(__NR_symlinkat, pair.path[0], pair.dirfd[1], pair.path[1]);
    return host(pair.nr, pair.dirfd[0], pair.path[0], pair.dirfd[1], pair.path[1], pair.flags);
}
