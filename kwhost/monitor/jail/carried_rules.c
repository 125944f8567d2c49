#include "jail/carried.h"

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

#define READING (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITING (LANDLOCK_CHANGES | FS_TRUNCATE)
#define OF_FILES (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE)

static u64 rights_of(u32 access) {
    return (access & KW_POLICY_READ ? READING : 0) | (access & KW_POLICY_WRITE ? WRITING : 0);
}

/* Returns 1, or 0 where the object is none that the rule's grant can be tied to. */
static long grant_object(int rules, const struct kw_policy_path *rule, int object) {
    struct statx found;
    u64 rights = rights_of(rule->access);
    long result = host_stat(object, "", AT_EMPTY_PATH, &found);
    if (result < 0)
        return result;
    switch (found.stx_mode & S_IFMT) {
    case S_IFLNK: /* objects have no paths through it */
        return 1;
    case S_IFDIR:
        if (rule->kind != KW_POLICY_SUBTREE)
            return 0;
        break;
    case S_IFREG: /* who may write one may also put another in its place */
        if (rule->access & KW_POLICY_WRITE)
            return 0;
        rights &= OF_FILES;
        break;
    default:
        rights &= OF_FILES;
    }
    result = landlock_allow(rules, object, rights);
    return result < 0 ? result : 1;
}

static long grant(int rules, const struct kw_policy *policy, const struct kw_policy_path *rule) {
    char path[KW_POLICY_PATTERN_MAX + 2];
    format(path, sizeof path, "/%.*s", (int)rule->length, policy->texts + rule->text);
    long fd = open_plainly(path);
    if (fd < 0)
        return fd == -ELOOP;
    long result = grant_object(rules, rule, (int)fd);
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
static long grant_own(int rules) {
    long result = 0, fd = open_plainly("/dev/mqueue");
    if (fd >= 0) {
        result = landlock_allow(rules, (int)fd, READING | WRITING);
        host(__NR_close, fd);
    }
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
static long fill(int rules, const struct kw_policy *policy, const struct kw_policy_layer *layer) {
    const struct kw_policy_path *rule = policy->paths + layer->path_first;
    long result = grant_own(rules);
    if (result >= 0)
        result = grant_others(rules, layer->other_access);
    result = result < 0 ? result : 1;
    for (u32 i = 0; i < layer->path_count && result > 0; i++)
        if (carried_adds(policy, layer, &rule[i]))
            result = grant(rules, policy, &rule[i]);
    return result;
}

static long make(int rules[KW_POLICY_LAYERS_MAX], u32 *count, const struct kw_policy *policy) {
    u64 handled = READING | WRITING;
    long result = 1;
    for (u32 i = 0; i < policy_layers(policy) && result > 0; i++) {
        if (!program_layer_has_files(&policy->layers[i]))
            continue;
        result = host(__NR_landlock_create_ruleset, &handled, sizeof handled, 0);
        if (result < 0)
            break;
        rules[(*count)++] = (int)result;
        result = fill((int)result, policy, &policy->layers[i]);
    }
    return result;
}

long carried_restrict(const struct kw_policy *policy) {
    int rules[KW_POLICY_LAYERS_MAX];
    u32 count = 0;
    long version = host(__NR_landlock_create_ruleset, 0, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < VERSION_NEEDED || !carried_fits(policy))
        return 0;
    long result = make(rules, &count, policy);
    bool carried = result > 0;
    for (u32 i = 0; i < count; i++) {
        if (carried && result >= 0)
            result = host(__NR_landlock_restrict_self, rules[i], 0);
        host(__NR_close, rules[i]);
    }
    return result < 0 ? result : carried;
}
