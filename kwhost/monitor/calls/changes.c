#include "calls/changes.h"

#include <linux/fcntl.h>
#include <linux/inotify.h>

#include "base/text.h"
#include "calls/broker.h"

static enum subject subject_of(u64 nr) {
    switch (nr) {
    case __NR_mkdir:
    case __NR_mkdirat:
    case __NR_mknod:
    case __NR_mknodat:
    case __NR_rmdir:
    case __NR_unlink:
    case __NR_unlinkat:
    case __NR_symlink:
    case __NR_symlinkat:
        return SUBJECT_NAME;
    case __NR_link:
    case __NR_linkat:
    case __NR_rename:
    case __NR_renameat:
    case __NR_renameat2:
        return SUBJECT_PAIR;
    case __NR_truncate:
    case __NR_chmod:
    case __NR_fchmod:
    case __NR_fchmodat:
    case NR_FCHMODAT2:
    case __NR_chown:
    case __NR_fchown:
    case __NR_lchown:
    case __NR_fchownat:
    case __NR_utime:
    case __NR_utimes:
    case __NR_futimesat:
    case __NR_utimensat:
    case __NR_setxattr:
    case __NR_lsetxattr:
    case __NR_fsetxattr:
    case __NR_getxattr:
    case __NR_lgetxattr:
    case __NR_listxattr:
    case __NR_llistxattr:
    case __NR_removexattr:
    case __NR_lremovexattr:
    case __NR_fremovexattr:
    case __NR_inotify_add_watch:
    case __NR_ioctl: /* those that change a file's attributes */
        return SUBJECT_OBJECT;
    default:
        return SUBJECT_NONE;
    }
}

bool change_is_judged(u64 nr) {
    return subject_of(nr) != SUBJECT_NONE;
}

void change_set(struct change *change, long nr, u32 count, const u64 *value) {
    change->nr = nr;
    memcpy(change->value, value, count * sizeof *value);
}

/* The forms with two paths, or a path to be made: all with directories. */
static void generalise_names(struct change *change, u64 nr, const u64 v[6]) {
    const u64 here = (u64)AT_FDCWD;
    change->directory = true;
    switch (nr) {
    case __NR_mkdir:
        change_set(change, __NR_mkdirat, 3, (u64[]){here, v[0], v[1]});
        break;
    case __NR_mknod:
        change_set(change, __NR_mknodat, 4, (u64[]){here, v[0], v[1], v[2]});
        break;
    case __NR_rmdir:
        change_set(change, __NR_unlinkat, 3, (u64[]){here, v[0], AT_REMOVEDIR});
        break;
    case __NR_unlink:
        change_set(change, __NR_unlinkat, 3, (u64[]){here, v[0], 0});
        break;
    case __NR_symlink:
        change_set(change, __NR_symlinkat, 3, (u64[]){v[0], here, v[1]});
        break;
    case __NR_rename:
        change_set(change, __NR_renameat2, 5, (u64[]){here, v[0], here, v[1], 0});
        break;
    case __NR_renameat:
        change_set(change, __NR_renameat2, 5, (u64[]){v[0], v[1], v[2], v[3], 0});
        break;
    case __NR_link:
        change_set(change, __NR_linkat, 5, (u64[]){here, v[0], here, v[1], 0});
        break;
    default:
        change_set(change, (long)nr, 6, v);
        break;
    }
    change->path[0] = change->nr == __NR_symlinkat ? 2 : 1;
    change->path[1] = 3;
    if (change->nr == __NR_linkat)
        change->follow = change->value[4] & AT_SYMLINK_FOLLOW;
}

/* Which argument holds the flags of a call, and the one that keeps a last link from being followed:
 * it is followed here, or not, when the object is opened. */
static void take_flag(struct change *change, u32 index, u64 flag) {
    change->follow = !(change->value[index] & flag);
    change->value[index] &= ~flag;
}

/* Calls that have an *at form. */
static bool generalise_modes(struct change *change, u64 nr, const u64 v[6]) {
    const u64 here = (u64)AT_FDCWD;
    change->path[0] = 1;
    change->directory = true;
    if (nr == __NR_chmod)
        change_set(change, __NR_fchmodat, 3, (u64[]){here, v[0], v[1]});
    else if (nr == __NR_chown || nr == __NR_lchown)
        change_set(change, __NR_fchownat, 5, (u64[]){here, v[0], v[1], v[2], 0});
    else if (nr == __NR_utimes)
        change_set(change, __NR_futimesat, 3, (u64[]){here, v[0], v[1]});
    else
        return false;
    change->follow = nr != __NR_lchown;
    return true;
}

static void generalise_object(struct change *change, u64 nr, const u64 v[6]) {
    static const struct {
        u16 nr, following;
    } links[] = {{__NR_lsetxattr, __NR_setxattr},
                 {__NR_lgetxattr, __NR_getxattr},
                 {__NR_llistxattr, __NR_listxattr},
                 {__NR_lremovexattr, __NR_removexattr}};
    change_set(change, (long)nr, 6, v);
    change->follow = true;
    for (u32 i = 0; i < array_size(links); i++)
        if (links[i].nr == nr) {
            change->nr = links[i].following;
            change->follow = false;
        }
    if (generalise_modes(change, nr, v))
        return;
    const struct call_entry *entry = &call_table[nr];
    u32 at = entry->arg[0].kind == ARG_PATH ? 0 : 1;
    change->path[0] = at;
    change->directory = entry->arg[0].kind == ARG_DIRFD;
    if (nr == __NR_fchownat)
        take_flag(change, 4, AT_SYMLINK_NOFOLLOW);
    else if (nr == __NR_utimensat || nr == NR_FCHMODAT2)
        take_flag(change, 3, AT_SYMLINK_NOFOLLOW);
    else if (nr == __NR_inotify_add_watch)
        take_flag(change, 2, IN_DONT_FOLLOW);
    if (entry->arg[at].kind != ARG_PATH) /* fchmod and the like */
        change->descriptor = true;
}

/* The object itself: of a descriptor in the place of a path, or none behind a directory. */
static void find_descriptor(struct change *change) {
    const char *path = (const char *)change->value[change->path[0]];
    u32 flags = change->nr == __NR_fchownat || change->nr == __NR_linkat ? 4 : 3;
    bool may_be_empty = change->nr == __NR_fchownat || change->nr == __NR_linkat ||
                        change->nr == __NR_utimensat || change->nr == NR_FCHMODAT2;
    if (change->descriptor)
        return;
    if (!path)
        change->descriptor = change->nr == __NR_utimensat || change->nr == __NR_futimesat;
    else if (!*path && may_be_empty)
        change->descriptor = change->value[flags] & AT_EMPTY_PATH;
}

void change_describe(struct change *change, struct thread *thread, u64 nr, const u64 value[6]) {
    bool looks = nr == __NR_getxattr || nr == __NR_lgetxattr || nr == __NR_listxattr ||
                 nr == __NR_llistxattr || nr == __NR_inotify_add_watch;
    *change = (struct change){.thread = thread, .subject = subject_of(nr)};
    change->access = looks ? KW_POLICY_READ : KW_POLICY_WRITE;
    if (change->subject == SUBJECT_OBJECT)
        generalise_object(change, nr, value);
    else
        generalise_names(change, nr, value);
    find_descriptor(change);
}
