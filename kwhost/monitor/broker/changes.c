/* Changes: the object, or the directory of the name, is held, judged by its real path, and changed
 * by what is held, so that nothing that others do meanwhile leads elsewhere. The meaning of each
 * call is that of calls/changes.h. */
#include "calls/changes.h"

#include <asm/signal.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/landlock.h>
#include <linux/resource.h>

#include "base/text.h"
#include "broker/perform.h"
#include "calls/requests.h"
#include "jail/kernel.h"
#include "jail/landlock.h"
#include "policy/learn.h"

#define STRINGS 2
#define BUFFER_MAX 65536u /* of extended attributes, as the kernel's own limits */
#define TIMES_SIZE 32u    /* two struct timespec or timeval */

/* The call's arguments, copied; as many as a call can have. */
static struct {
    char strings[STRINGS][PATH_MAX];
    u8 times[TIMES_SIZE], attributes[sizeof(struct fsxattr)];
    u8 buffer[BUFFER_MAX];
    u64 results; /* where the caller wants what comes into the buffer; 0: nowhere */
} copy;

static struct target first, second;
static char first_real[PATH_MAX], second_real[PATH_MAX], both[2 * PATH_MAX];

static long copy_string(const struct caller *caller, u32 index, u64 *value) {
    if (!*value)
        return 0;
    long result = caller_string(caller, *value, copy.strings[index], PATH_MAX);
    *value = (u64)copy.strings[index];
    return result < 0 ? result : 0;
}

/* Names of attributes: longer ones than any may be are the kernel's to refuse. */
static long copy_word(const struct caller *caller, u32 index, u64 *value) {
    long result = copy_string(caller, index, value);
    if (result == -ENAMETOOLONG)
        copy.strings[index][PATH_MAX - 1] = 0;
    return result == -ENAMETOOLONG ? 0 : result;
}

static long copy_in(const struct caller *caller, u64 *value, u64 size) {
    u64 from = *value;
    *value = from ? (u64)copy.buffer : 0;
    return from && size <= sizeof copy.buffer ? caller_read(caller, from, copy.buffer, size) : 0;
}

static void take_out(u64 *value, u64 *size) {
    copy.results = *size ? *value : 0; /* with no size the call tells which is needed */
    *value = *value ? (u64)copy.buffer : 0;
    *size = min_u64(*size, sizeof copy.buffer);
}

static long copy_times(const struct caller *caller, u64 *value) {
    u64 from = *value, size = caller->request->nr == __NR_utime ? TIMES_SIZE / 2 : TIMES_SIZE;
    *value = from ? (u64)copy.times : 0;
    return from ? caller_read(caller, from, copy.times, size) : 0;
}

static long copy_request(const struct caller *caller, u64 value[6]) {
    u64 size = (u32)value[1] == FS_IOC_SETFLAGS ? sizeof(u32) : sizeof copy.attributes;
    u64 from = value[2];
    value[2] = (u64)copy.attributes;
    return caller_read(caller, from, copy.attributes, size);
}

static long copy_arguments(const struct caller *caller, u64 value[6]) {
    const struct arg *arg = call_table[caller->request->nr].arg;
    u32 strings = 0;
    long result = 0;
    memcpy(value, caller->request->arg, sizeof caller->request->arg);
    copy.results = 0;
    if (caller->request->nr == __NR_ioctl)
        return copy_request(caller, value);
    for (u32 i = 0; i < 6 && !result; i++) {
        if (arg[i].kind == ARG_PATH && strings < STRINGS)
            result = copy_string(caller, strings++, &value[i]);
        else if (arg[i].kind == ARG_STRING && strings < STRINGS)
            result = copy_word(caller, strings++, &value[i]);
        else if (arg[i].kind == ARG_IN)
            result = copy_in(caller, &value[i], value[arg[i].extra]);
        else if (arg[i].kind == ARG_OUT)
            take_out(&value[i], &value[arg[i].extra]);
        else if (arg[i].kind == ARG_TIME || arg[i].kind == ARG_POINTER)
            result = copy_times(caller, &value[i]);
    }
    return result;
}

static long make(const struct change *change) {
    const u64 *v = change->value;
    return host6(change->nr, (long)v[0], (long)v[1], (long)v[2], (long)v[3], (long)v[4],
                 (long)v[5]);
}

static long find_name(const struct caller *caller, const struct change *change, u32 which,
                      struct target *target, char *real) {
    u32 at = change->path[which];
    const char *path = (const char *)change->value[at];
    long result = path_find(caller, (int)change->value[at - 1], path, END_NAME, target);
    if (!result && target->directory < 0)
        result = -ENOENT;
    return result ? result : path_real_name(target, real);
}

static long change_name(const struct caller *caller, struct change *change) {
    long result = find_name(caller, change, 0, &first, first_real);
    if (!result)
        result = permit_caller(caller, judge_path(first_real, change->access), first_real);
    if (result)
        return result;
    if (learning() && change->nr == __NR_mkdirat)
        learn_made(__NR_mkdirat, first_real);
    change->value[change->path[0] - 1] = (u64)first.directory;
    change->value[change->path[0]] = (u64)first.name;
    return make(change);
}

/* Holds the object of path number 0; by a descriptor of the caller's where it says which. */
static long find_object(const struct caller *caller, const struct change *change) {
    u32 at = change->path[0];
    int dirfd = change->directory ? (int)change->value[at - 1] : AT_FDCWD;
    if (!change->descriptor) {
        const char *path = (const char *)change->value[at];
        long result =
            path_find(caller, dirfd, path, change->follow ? END_FOLLOWED : END_OBJECT, &first);
        return result || first.object >= 0 ? result : -ENOENT;
    }
    int number = change->directory ? dirfd : (int)change->value[0];
    long fd = change->directory && number == AT_FDCWD ? path_start(caller, number)
                                                      : caller_descriptor(caller, number);
    first.object = (int)fd;
    return fd < 0 ? fd : 0;
}

/* The call on what is held: by its descriptor, or by a name that leads to it. */
static long change_held(struct change *change) {
    char name[HELD_SIZE];
    u32 at = change->path[0];
    if (change->descriptor) {
        change->value[change->directory ? at - 1 : 0] = (u64)first.object;
        return make(change);
    }
    path_held(first.object, name);
    change->value[at] = (u64)name;
    if (change->directory)
        change->value[at - 1] = (u64)AT_FDCWD;
    return make(change);
}

/* Likewise, no longer than its caller may make a file: the kernel asks the worker's limit, and
 * tells the worker of it, who ignores that signal. */
static long truncate_held(const struct caller *caller, struct change *change) {
    struct rlimit64 own, theirs;
    u64 length = change->value[1];
    host(__NR_prlimit64, 0, RLIMIT_FSIZE, NULL, &own);
    theirs.rlim_max = own.rlim_max;
    theirs.rlim_cur = min_u64(caller_file_limit(caller), own.rlim_max);
    long result = host(__NR_prlimit64, 0, RLIMIT_FSIZE, &theirs, NULL);
    if (!result)
        result = change_held(change);
    host(__NR_prlimit64, 0, RLIMIT_FSIZE, &own, NULL);
    if (result == -EFBIG && length > theirs.rlim_cur)
        caller_signal(caller, SIGXFSZ);
    return result;
}

/* Without namespaces, whatever a policy says: what an instance did not make stays as it is. It
 * names nothing from elsewhere in its directory, for Landlock lets it link nothing there. */
static long stay_in_scratch(int object) {
    size_t length = broker_scratch ? strlen(broker_scratch) : 0;
    long result = path_real(object, first_real);
    if (result)
        return result;
    bool beneath = length && !strncmp(first_real, broker_scratch, length) &&
                   (!first_real[length] || first_real[length] == '/');
    return beneath ? 0 : -EPERM;
}

static long change_object(const struct caller *caller, struct change *change) {
    long result = find_object(caller, change);
    if (!result && broker_is_bare)
        result = stay_in_scratch(first.object);
    if (!result)
        result = permit_object(caller, first.object, change->access);
    if (!result)
        result = change->nr == __NR_truncate ? truncate_held(caller, change) : change_held(change);
    if (result > 0 && copy.results && caller_write(caller, copy.results, copy.buffer, (u64)result))
        return -EFAULT;
    return result;
}

/* Judges giving `old` the name `new`. Whoever is asked has to know both. */
static long permit_pair(const struct caller *caller, const char *old, const char *new, u32 access) {
    struct kw_policy_verdict verdict = judge_new_name(old, new, access);
    if (verdict.action != KW_POLICY_ASK)
        return permit_caller(caller, verdict, old);
    format(both, sizeof both, "%s/%s", old, new);
    return permit_caller(caller, verdict, both);
}

static long link_judged(const struct caller *caller, struct change *change) {
    char name[HELD_SIZE];
    long result = find_object(caller, change);
    if (!result)
        result = path_real(first.object, first_real);
    if (!result)
        result = find_name(caller, change, 1, &second, second_real);
    if (!result && first_real[0] == '/')
        result = permit_pair(caller, first_real, second_real, 0);
    if (result)
        return result;
    u64 flags = (change->value[4] & ~(u64)AT_EMPTY_PATH) | AT_SYMLINK_FOLLOW;
    path_held(first.object, name);
    return host(__NR_linkat, AT_FDCWD, name, second.directory, second.name, flags);
}

/* From here on this process makes and moves no directory: to move one is to make one. */
static long keep_directories(void) {
    u64 handled = LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_REFER;
    long root = host(__NR_openat, AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    long rules = host(__NR_landlock_create_ruleset, &handled, sizeof handled, 0);
    if (root < 0 || rules < 0)
        return -EACCES;
    long result = landlock_allow((int)rules, (int)root, LANDLOCK_REFER);
    return result ? result : host(__NR_landlock_restrict_self, rules, 0);
}

/* Renames what is no directory, whatever takes its place meanwhile: in a process that the kernel
 * lets move none (calls/judged_move.c). Without Landlock nothing is moved. */
static long move_file(const struct change *change) {
    s32 status = 0;
    long child = host(__NR_clone, SIGCHLD, 0, 0, 0, 0);
    if (child == 0) {
        long result = keep_directories() ? -EACCES : make(change);
        host(__NR_exit_group, -result);
    }
    if (child < 0)
        return child;
    long ended;
    do
        ended = host(__NR_wait4, child, &status, 0, 0);
    while (ended == -EINTR);
    return ended == child && status_exited(status) ? -(long)status_code(status) : -EACCES;
}

static bool is_directory(const struct target *target) {
    struct statx found;
    return host_stat(target->directory, target->name, AT_SYMLINK_NOFOLLOW, &found) == 0 &&
           (found.stx_mode & S_IFMT) == S_IFDIR;
}

static long rename_judged(const struct caller *caller, struct change *change) {
    static const struct kw_policy_verdict kept = {.action = KW_POLICY_ERRNO, .error = EACCES};
    bool exchange = change->value[4] & RENAME_EXCHANGE;
    long result = find_name(caller, change, 0, &first, first_real);
    if (!result)
        result = find_name(caller, change, 1, &second, second_real);
    if (!result)
        result = permit_pair(caller, first_real, second_real, KW_POLICY_WRITE);
    if (!result && exchange)
        result = permit_pair(caller, second_real, first_real, KW_POLICY_WRITE);
    if (result)
        return result;
    change_set(
        change, __NR_renameat2, 4,
        (u64[]){(u64)first.directory, (u64)first.name, (u64)second.directory, (u64)second.name});
    if (!judge_speaks_beneath(first_real) && !judge_speaks_beneath(second_real))
        return make(change);
    if (is_directory(&first)) /* told, unlike what the kernel refuses */
        return permit_caller(caller, kept, first_real);
    if (exchange && is_directory(&second))
        return permit_caller(caller, kept, second_real);
    return move_file(change);
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
        if (!path || (!object && path_is_special(path)))
            return true;
    }
    return false;
}

/* Has the kernel say what is wrong. */
static long fail_anyway(const struct caller *caller, struct change *change) {
    struct target *targets[] = {&first, &second};
    u32 count = change->subject == SUBJECT_PAIR ? 2 : 1;
    for (u32 i = 0; i < count; i++) {
        u32 at = change->path[i];
        const char *path = (const char *)change->value[at];
        if (!path)
            return -EFAULT;
        if (!change->directory || path[0] == '/')
            continue;
        long fd = path_start(caller, (int)change->value[at - 1]);
        if (fd < 0)
            return fd;
        targets[i]->directory = (int)fd;
        change->value[at - 1] = (u64)fd;
    }
    return make(change);
}

static long perform(const struct caller *caller, const u64 value[6]) {
    static struct change change;
    long result;
    first.object = first.directory = second.object = second.directory = -1;
    change_describe(&change, NULL, caller->request->nr, value);
    if (fails_anyway(&change))
        result = fail_anyway(caller, &change);
    else if (change.subject == SUBJECT_NAME)
        result = change_name(caller, &change);
    else if (change.subject == SUBJECT_OBJECT)
        result = change_object(caller, &change);
    else
        result = change.nr == __NR_linkat ? link_judged(caller, &change)
                                          : rename_judged(caller, &change);
    path_close(&first);
    path_close(&second);
    return result;
}

/* inotify_add_watch has a descriptor besides, which the kernel looks at first. */
static long perform_watch(const struct caller *caller) {
    u64 value[6];
    long fd = caller_descriptor(caller, (int)caller->request->arg[0]);
    if (fd < 0)
        return fd;
    long result = copy_arguments(caller, value);
    value[0] = (u64)fd;
    if (!result)
        result = perform(caller, value);
    host(__NR_close, fd);
    return result;
}

long perform_change(const struct caller *caller) {
    u64 value[6];
    if (caller->request->nr == __NR_inotify_add_watch)
        return perform_watch(caller);
    long result = copy_arguments(caller, value);
    return result ? result : perform(caller, value);
}
