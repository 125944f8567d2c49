#include "jail/carried.h"

#include <asm/statfs.h>
#include <linux/landlock.h>
#include <linux/limits.h>

#include "base/text.h"
#include "jail/kernel.h"
#include "jail/landlock.h"
#include "jail/paths.h"

/* Version 3, newer than the headers of the oldest supported system: without it a file that is
 * opened for reading could be emptied. */
#define FS_TRUNCATE (1ul << 14)
#define VERSION_NEEDED 3
#define MQUEUE_MAGIC 0x19800202

#define READING (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITING (LANDLOCK_CHANGES | FS_TRUNCATE)
#define OF_FILES (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE)

/* One layer's, in the making. */
struct rules {
    int fd;
    u64 root_mount; /* the id of the mount that the root is on */
};

static u64 rights_of(u32 access) {
    return (access & KW_POLICY_READ ? READING : 0) | (access & KW_POLICY_WRITE ? WRITING : 0);
}

/* Whoever changes what is mounted from elsewhere may give the object another name, and the name
 * another object. */
static bool keeps_its_name(const struct statx *found, u64 root_mount) {
    return found->stx_mnt_id == root_mount || found->stx_attributes & STATX_ATTR_MOUNT_ROOT;
}

/* Returns 1, or 0 where the object is none that the rule's grant can be tied to: another file may
 * come to stand where one does, and overlayfs may give one another inode at its next look. */
static long grant_object(int rules, const struct kw_policy_path *rule, int object, u32 type) {
    u64 rights = rights_of(rule->access);
    bool directory = type == S_IFDIR && rule->kind == KW_POLICY_SUBTREE;
    if (type == S_IFLNK && !(rule->access & KW_POLICY_WRITE)) /* no object has a path through it */
        return 1;
    if (!directory && type != S_IFCHR && type != S_IFBLK)
        return 0;
    long result = landlock_allow(rules, object, directory ? rights : rights & OF_FILES);
    return result < 0 ? result : 1;
}

/* The object, or the link that stands in its way: nothing has such a path. */
static long open_rule(const struct kw_policy *policy, const struct kw_policy_path *rule,
                      bool *blocked) {
    char path[KW_POLICY_PATTERN_MAX + 2];
    format(path, sizeof path, "/%.*s", (int)rule->length, policy_text(policy, rule));
    long fd = open_plainly(path);
    for (*blocked = fd == -ELOOP; fd == -ELOOP; fd = open_plainly(path))
        *strrchr(path, '/') = 0;
    return fd;
}

static long grant(const struct rules *rules, const struct kw_policy *policy,
                  const struct kw_policy_path *rule) {
    struct statx found;
    bool blocked;
    long fd = open_rule(policy, rule, &blocked);
    if (fd < 0)
        return 0;
    long result = host(__NR_statx, fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_MNT_ID, &found);
    if (result >= 0)
        result = keeps_its_name(&found, rules->root_mount);
    if (result > 0 && !blocked)
        result = grant_object(rules->fd, rule, (int)fd, found.stx_mode & S_IFMT);
    host(__NR_close, fd);
    return result;
}

/* As far as they are open. */
static long grant_stream(int rules, int fd) {
    static const u64 rights[] = {[O_RDONLY] = LANDLOCK_ACCESS_FS_READ_FILE,
                                 [O_WRONLY] = OF_FILES & ~LANDLOCK_ACCESS_FS_READ_FILE,
                                 [O_RDWR] = OF_FILES};
    struct statx found;
    long flags = host(__NR_fcntl, fd, F_GETFL), result = host_stat(fd, "", AT_EMPTY_PATH, &found);
    if (flags < 0 || result < 0 || (flags & O_ACCMODE) > O_RDWR ||
        (found.stx_mode & S_IFMT) == S_IFDIR)
        return 0;
    return landlock_allow_stream(rules, fd, rights[flags & O_ACCMODE]);
}

/* What no policy is about: message queues have no paths. */
static long grant_queues(int rules) {
    struct statfs status;
    long fd = open_plainly("/dev/mqueue"), result = 0;
    if (fd < 0)
        return 0;
    if (host(__NR_fstatfs, fd, &status) >= 0 && status.f_type == MQUEUE_MAGIC)
        result = landlock_allow(rules, (int)fd, READING | WRITING);
    host(__NR_close, fd);
    return result;
}

static long grant_own(int rules) {
    long result = grant_queues(rules);
    for (int i = 0; i < 3 && result >= 0; i++)
        result = grant_stream(rules, i);
    return result;
}

static long grant_others(int rules, u32 access) {
    u64 rights = rights_of(access);
    long root = rights ? open_plainly("/") : 0;
    if (!rights || root < 0)
        return root;
    long result = landlock_allow(rules, (int)root, rights);
    host(__NR_close, root);
    return result;
}

/* 1, or 0 where it cannot be. */
static long fill(const struct rules *rules, const struct kw_policy *policy,
                 const struct kw_policy_layer *layer) {
    const struct kw_policy_path *rule = policy->paths + layer->path_first;
    long result = grant_own(rules->fd);
    if (result >= 0)
        result = grant_others(rules->fd, layer->other_access);
    result = result < 0 ? result : 1;
    for (u32 i = 0; i < layer->path_count && result > 0; i++)
        if (carried_adds(policy, layer, &rule[i]))
            result = grant(rules, policy, &rule[i]);
    return result;
}

static long make(int fds[KW_POLICY_LAYERS_MAX], u32 *count, const struct kw_policy *policy) {
    u64 handled = READING | WRITING;
    struct statx root = {0};
    long result = host(__NR_statx, AT_FDCWD, "/", 0, STATX_MNT_ID, &root);
    struct rules rules = {.root_mount = root.stx_mnt_id};
    result = result < 0 ? result : 1;
    for (u32 i = 0; i < policy_layers(policy) && result > 0; i++) {
        if (!program_layer_has_files(&policy->layers[i]))
            continue;
        result = host(__NR_landlock_create_ruleset, &handled, sizeof handled, 0);
        if (result < 0)
            break;
        rules.fd = fds[(*count)++] = (int)result;
        result = fill(&rules, policy, &policy->layers[i]);
    }
    return result;
}

long carried_restrict(const struct kw_policy *policy) {
    int fds[KW_POLICY_LAYERS_MAX];
    u32 count = 0;
    if (landlock_version() < VERSION_NEEDED)
        return 0;
    long result = make(fds, &count, policy);
    bool carried = result > 0;
    for (u32 i = 0; i < count; i++) {
        if (carried && result >= 0)
            result = host(__NR_landlock_restrict_self, fds[i], 0);
        host(__NR_close, fds[i]);
    }
    return result < 0 ? result : carried;
}
