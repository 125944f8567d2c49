/* Changes run in a thread with a descriptor table and a working directory of its own: what it holds
 * there by descriptor, and has judged, is what it changes. */
#include <linux/fcntl.h>

#include "base/text.h"
#include "calls/broker.h"
#include "calls/changes.h"
#include "calls/sockets.h"
#include "policy/learn.h"
#include "process/errand.h"
#include "process/question.h"
#include "process/thread.h"
#include "procfs/procfs.h"

long change_make(const struct change *change) {
    const u64 *v = change->value;
    return host6(change->nr, (long)v[0], (long)v[1], (long)v[2], (long)v[3], (long)v[4],
                 (long)v[5]);
}

/* Whether the call names the descriptor, or it was opened for it. */
static bool is_needed(const struct change *change, int number) {
    for (u32 i = 0; i < array_size(change->value); i++)
        if ((int)change->value[i] == number)
            return true;
    for (u32 i = 0; i < change->opened_count; i++)
        if (change->opened[i] == number)
            return true;
    return false;
}

long change_open(struct change *change, int dirfd, const char *path, int flags) {
    long fd = host(__NR_openat, dirfd, path, O_PATH | O_CLOEXEC | flags, 0);
    for (int number = 0, closed = 0; !change->alone && fd == -EMFILE && closed < 4; number++) {
        if (!is_needed(change, number)) {
            host(__NR_close, number);
            closed++;
        }
        if (closed == 4)
            fd = host(__NR_openat, dirfd, path, O_PATH | O_CLOEXEC | flags, 0);
    }
    if (fd >= 0 && change->opened_count < array_size(change->opened))
        change->opened[change->opened_count++] = (int)fd;
    return fd;
}

/* Names that no call makes or removes: the kernel says what is wrong with them. */
static bool is_special(const char *path) {
    u64 length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    const char *last = path + length;
    while (last > path && last[-1] != '/')
        last--;
    length -= (u64)(last - path);
    return length == 0 || (length == 1 && (*last == '.' || *last == '/')) ||
           (length == 2 && last[0] == '.' && last[1] == '.');
}

long change_find_name(struct change *change, u32 which, struct name *name) {
    u32 at = change->path[which];
    const char *path = (const char *)change->value[at];
    u64 length = strlen(path), end;
    while (length > 1 && path[length - 1] == '/')
        length--;
    end = length;
    while (length > 0 && path[length - 1] != '/')
        length--;
    name->last = path + length;
    memcpy(name->real, path, length);
    format(name->real + length, 2, "%s", length ? "" : ".");
    long fd = change_open(change, (int)change->value[at - 1], name->real, O_DIRECTORY);
    if (fd < 0)
        return fd;
    name->directory = (int)fd;
    long result = real_path((int)fd, name->real);
    u64 size = result ? 0 : strlen(name->real), rest = end - length;
    if (result)
        return result;
    if (name->real[0] != '/')
        return -EACCES;
    if (size + rest + 2 > PATH_MAX)
        return -ENAMETOOLONG;
    format(name->real + size, PATH_MAX - size, "%s%.*s", name->real[1] ? "/" : "", (int)rest,
           name->last);
    return 0;
}

bool change_refuses(struct change *change, struct kw_policy_verdict verdict, const char *path) {
    if (verdict.action == KW_POLICY_ASK && question_is_allowed(change->thread, verdict, path))
        return false;
    if (verdict.action > change->verdict.action) {
        change->verdict = verdict;
        format(change->text, sizeof change->text, "%s", path);
    }
    return verdict_stops(verdict);
}

/* Whoever is asked has to know both: in a real path no slash is doubled. */
bool change_refuses_pair(struct change *change, struct kw_policy_verdict verdict, const char *old,
                         const char *new) {
    char both[2 * PATH_MAX];
    if (verdict.action != KW_POLICY_ASK)
        return change_refuses(change, verdict, old);
    format(both, sizeof both, "%s/%s", old, new);
    return change_refuses(change, verdict, both);
}

static long change_name(struct change *change) {
    struct name name;
    long result = change_find_name(change, 0, &name);
    if (result)
        return result;
    if (change_refuses(change, judge_path(name.real, change->access), name.real))
        return -EACCES;
    if (learning() && change->nr == __NR_mkdirat)
        learn_made(__NR_mkdirat, name.real);
    change->value[change->path[0] - 1] = (u64)name.directory;
    change->value[change->path[0]] = (u64)name.last;
    return change_make(change);
}

/* The descriptor of the object: O_PATH, or the guest's own. */
static long find_object(struct change *change, char *real) {
    u32 at = change->path[0];
    int dirfd = change->directory ? (int)change->value[at - 1] : AT_FDCWD;
    long fd = change->descriptor && !change->directory ? (int)change->value[0] : dirfd;
    if (change->descriptor && fd == AT_FDCWD)
        fd = change_open(change, AT_FDCWD, ".", 0);
    else if (change->descriptor && fd < 0)
        fd = -EBADF;
    else if (!change->descriptor)
        fd = change_open(change, dirfd, (const char *)change->value[at],
                         change->follow ? 0 : O_NOFOLLOW);
    if (fd < 0)
        return fd;
    long result = real_path((int)fd, real);
    return result < 0 ? (result == -ENOENT ? -EBADF : result) : fd;
}

/* The path of a descriptor, from own_fd(OWN_PROC). */
static void name_held(long fd, char link[48]) {
    format(link, 48, "thread-self/fd/%d", (int)fd);
}

static long change_object(struct change *change) {
    char real[PATH_MAX], link[48];
    long fd = find_object(change, real);
    if (fd < 0)
        return fd;
    /* What has no path is no file. */
    if (real[0] == '/' && change_refuses(change, judge_path(real, change->access), real))
        return -EACCES;
    if (change->descriptor)
        return change_make(change);
    name_held(fd, link);
    change->value[change->path[0]] = (u64)link;
    if (change->directory) {
        change->value[change->path[0] - 1] = (u64)own_fd(OWN_PROC);
        return change_make(change);
    }
    long result = host(__NR_fchdir, own_fd(OWN_PROC)); /* this thread's alone */
    return result ? result : change_make(change);
}

static long change_links(struct change *change) {
    char real[PATH_MAX], link[48];
    struct name new;
    long fd = find_object(change, real);
    if (fd < 0)
        return fd;
    long result = change_find_name(change, 1, &new);
    if (result)
        return result;
    if (real[0] == '/' &&
        change_refuses_pair(change, judge_new_name(real, new.real, 0), real, new.real))
        return -EACCES;
    u64 flags = (change->value[4] & ~(u64)AT_EMPTY_PATH) | AT_SYMLINK_FOLLOW;
    name_held(fd, link);
    change_set(
        change, __NR_linkat, 5,
        (u64[]){(u64)own_fd(OWN_PROC), (u64)link, (u64) new.directory, (u64) new.last, flags});
    return change_make(change);
}

static long run(void *argument) {
    struct change *change = argument;
    change->verdict = (struct kw_policy_verdict){0};
    switch (change->subject) {
    case SUBJECT_NAME:
        return change_name(change);
    case SUBJECT_PAIR:
        return change->nr == __NR_linkat ? change_links(change) : change_place(change);
    case SUBJECT_OBJECT:
    case SUBJECT_NONE:
    default:
        return change_object(change);
    }
}

/* A process with one thread needs no other one, unless a path is all that a call takes. */
static long run_safely(struct change *change, const struct thread *thread) {
    struct change kept = *change;
    bool by_path = change->subject == SUBJECT_OBJECT && !change->directory && !change->descriptor;
    long result = -EMFILE;
    if (!by_path && __atomic_load_n(&thread->process->thread_count, __ATOMIC_RELAXED) == 1) {
        change->alone = true;
        result = run(change);
        for (u32 i = 0; i < change->opened_count; i++)
            host(__NR_close, change->opened[i]);
    }
    if (result == -EMFILE) {
        *change = kept;
        result = errand_run(run, change, true);
    }
    return result;
}

/* Whether the call fails whatever the policy says: without a path, or by a path to what cannot be
 * made, moved or removed. */
static bool fails_anyway(const struct change *change) {
    u32 count = change->subject == SUBJECT_PAIR ? 2 : 1;
    for (u32 i = 0; i < count; i++) {
        const char *path = (const char *)change->value[change->path[i]];
        bool object = change->subject == SUBJECT_OBJECT || (change->nr == __NR_linkat && i == 0);
        if (object && change->descriptor)
            continue;
        if (!path || (!object && is_special(path)))
            return true;
    }
    return false;
}

/* Replaces paths that lead through a magic link of /proc. 0: there is none; 1: done; -ENOTTY: one
 * stays in /proc, where nothing can be changed. */
static long leave_proc(struct change *change, bool before) {
    u32 count = change->subject == SUBJECT_PAIR ? 2 : 1;
    long found = 0;
    for (u32 i = 0; i < count; i++) {
        u32 at = change->path[i];
        const char *path = (const char *)change->value[at];
        bool object = change->subject == SUBJECT_OBJECT || change->nr == __NR_linkat;
        int dirfd = change->directory ? (int)change->value[at - 1] : AT_FDCWD;
        if ((i == 0 && change->descriptor) || !*path ||
            (before && !procfs_may_start_in(change->thread, dirfd, path)))
            continue;
        struct procfs_target *target = scratch_take(change->thread, sizeof *target);
        char *inside = scratch_take(change->thread, PATH_MAX);
        if (!target || !inside)
            return -ENOMEM;
        if (!procfs_claims(change->thread, dirfd, path, object && i == 0 && change->follow, inside))
            continue;
        long result = procfs_target(change->thread, inside, target);
        if (result)
            return result;
        if (!change->directory)
            return -EACCES;
        change->value[at - 1] = (u64)target->dirfd;
        change->value[at] = (u64)target->path;
        change->follow |= i == 0 && target->is_link;
        found = 1;
    }
    return found;
}

long change_finish(struct call *call, const struct change *change, long result) {
    long refused = permit(call->thread, change->verdict, change->text);
    return refused ? refused : result;
}

/* The name is made in the directory that was judged: it is this thread's own working directory. */
static long run_bind(void *argument) {
    struct change *change = argument;
    struct name name;
    struct local_address address = {.family = (u16)change->value[3]};
    long result = change_find_name(change, 0, &name);
    if (result)
        return result;
    if (change_refuses(change, judge_path(name.real, KW_POLICY_WRITE), name.real))
        return -EACCES;
    u64 length = (u64)format(address.path, sizeof address.path, "%s", name.last);
    result = host(__NR_fchdir, name.directory);
    return result ? result : host(__NR_bind, change->value[2], &address, length + 3);
}

long judged_bind(struct call *call, int fd, const void *from, u64 size) {
    struct local_address address = {0};
    struct change *change = scratch_take(call->thread, sizeof *change);
    char *path = scratch_take(call->thread, sizeof address.path + 1);
    if (!change || !path)
        return -ENOMEM;
    memcpy(&address, from, min_u64(size, sizeof address));
    memcpy(path, address.path, sizeof address.path);
    path[sizeof address.path] = 0;
    bool named = size > sizeof address.family && size <= sizeof address && path[0];
    if (!named || is_special(path))
        return host(__NR_bind, fd, from, size);
    if (paths_are_unknown())
        return -EACCES;
    *change = (struct change){.thread = call->thread, .nr = __NR_bind, .path = {1}};
    change_set(change, __NR_bind, 4, (u64[]){(u64)AT_FDCWD, (u64)path, (u64)fd, address.family});
    return change_finish(call, change, errand_run(run_bind, change, true));
}

long judged_change(struct call *call, const struct host_args *args) {
    struct change *change = scratch_take(call->thread, sizeof *change);
    if (!change)
        return -ENOMEM;
    change_describe(change, call->thread, call->nr, args->value);
    if (fails_anyway(change))
        return change_make(change);
    if (paths_are_unknown())
        return -EACCES;
    long result = leave_proc(change, true);
    if (result == -ENOTTY)
        return procfs_call(call, "");
    if (result < 0)
        return result;
    struct change *again = scratch_take(call->thread, sizeof *again);
    if (!again)
        return -ENOMEM;
    *again = *change;
    result = run_safely(change, call->thread);
    if (!verdict_stops(change->verdict) && broker_may_be_proc(result)) {
        long left = leave_proc(again, false);
        if (left == -ENOTTY)
            return procfs_call(call, "");
        if (left > 0)
            return change_finish(call, again, run_safely(again, call->thread));
        result = left < 0 ? left : result;
    }
    return change_finish(call, change, result);
}
