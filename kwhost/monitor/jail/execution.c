#include "jail/execution.h"

#include <linux/landlock.h>
#include <linux/limits.h>

#include "base/text.h"
#include "jail/kernel.h"
#include "jail/landlock.h"

/* In one directory: of those beyond nothing is executed. Programs make as many as they like. */
#define OBJECTS_MAX 4096u

struct entry_name { /* struct linux_dirent64 */
    u64 inode, offset;
    u16 size;
    u8 type;
    char name[];
};

struct walk {
    const struct kw_policy *policy;
    int rules;
    char path[PATH_MAX]; /* of the present one; "" is the root */
};

static bool may_execute(const struct kw_policy *policy, const char *path) {
    return !verdict_stops(policy_path(policy, path, KW_POLICY_EXECUTE));
}

static bool permits_all(const struct kw_policy *policy) {
    for (u32 i = 0; i < policy_layers(policy); i++) {
        const struct kw_policy_layer *layer = &policy->layers[i];
        if (!(layer->other_access & KW_POLICY_EXECUTE))
            return false;
        for (u32 at = 0; at < layer->path_count; at++)
            if (!(policy->paths[layer->path_first + at].access & KW_POLICY_EXECUTE))
                return false;
    }
    return true;
}

/* Without a rule beneath one name in it is as good as any other. */
static long grant_whole(struct walk *walk, int fd, bool directory) {
    u64 length = strlen(walk->path);
    if (directory && length + 3 > sizeof walk->path)
        return 0;
    if (directory)
        format(walk->path + length, 3, "/-");
    bool granted = may_execute(walk->policy, walk->path);
    walk->path[length] = 0;
    return granted ? landlock_allow(walk->rules, fd, LANDLOCK_ACCESS_FS_EXECUTE) : 0;
}

static long grant_in(struct walk *walk, int directory);

static long grant_one(struct walk *walk, int directory, const char *name, bool beyond) {
    struct statx found;
    bool spoken_of = policy_speaks_beneath(walk->policy, walk->path);
    if (beyond && !spoken_of)
        return 0;
    long fd = host(__NR_openat, directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0), result;
    if (fd < 0)
        return 0; /* it has gone */
    result = host_stat((int)fd, "", AT_EMPTY_PATH, &found);
    u32 type = found.stx_mode & S_IFMT;
    bool whole = type != S_IFDIR || !spoken_of;
    if (result >= 0 && type != S_IFLNK)
        result = whole ? grant_whole(walk, (int)fd, type == S_IFDIR) : grant_in(walk, (int)fd);
    host(__NR_close, fd);
    return result;
}

static bool is_self(const char *name) {
    return !strcmp(name, ".") || !strcmp(name, "..");
}

/* Looks at all that is in a directory. */
static long grant_in(struct walk *walk, int directory) {
    _Alignas(struct entry_name) char names[2048];
    u64 length = strlen(walk->path);
    u32 count = 0;
    long fd = host(__NR_openat, directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    long size = 0, result = 0;
    if (fd < 0)
        return 0;
    while (!result && (size = host(__NR_getdents64, fd, names, sizeof names)) > 0)
        for (long at = 0; at < size && !result;) {
            const struct entry_name *entry = (const struct entry_name *)(names + at);
            at += entry->size;
            if (is_self(entry->name) || length + strlen(entry->name) + 2 > sizeof walk->path)
                continue;
            format(walk->path + length, sizeof walk->path - length, "/%s", entry->name);
            result = grant_one(walk, (int)fd, entry->name, count++ >= OBJECTS_MAX);
            walk->path[length] = 0;
        }
    host(__NR_close, fd);
    return result ? result : size;
}

static long grant_all(struct walk *walk, u64 moving) {
    long root = host(__NR_openat, AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (root < 0)
        return root;
    long result = moving ? landlock_allow(walk->rules, (int)root, moving) : 0;
    if (result >= 0)
        result = policy_speaks_beneath(walk->policy, "/") ? grant_in(walk, (int)root)
                                                          : grant_whole(walk, (int)root, true);
    host(__NR_close, root);
    return result;
}

/* Without a word about it nothing can be moved to another directory; with it, where no more of it
 * could be executed then. */
static u64 right_to_move(void) {
    return landlock_version() < 2 ? 0 : LANDLOCK_REFER;
}

long execution_restrict(const struct kw_policy *policy) {
    static struct walk walk;
    u64 moving = right_to_move(), handled = LANDLOCK_ACCESS_FS_EXECUTE | moving;
    if (permits_all(policy))
        return 0;
    long rules = host(__NR_landlock_create_ruleset, &handled, sizeof handled, 0);
    if (rules < 0)
        return rules == -ENOSYS ? -EOPNOTSUPP : rules;
    walk = (struct walk){.policy = policy, .rules = (int)rules};
    long result = grant_all(&walk, moving);
    if (result >= 0)
        result = host(__NR_landlock_restrict_self, rules, 0);
    host(__NR_close, rules);
    return result;
}

/* Rules with wildcards are the same where both policies have them. */
static bool has_same(const struct kw_policy *policy, const struct kw_policy *of,
                     const struct kw_policy_path *rule) {
    for (u32 i = 0; i < policy->path_count; i++) {
        const struct kw_policy_path *other = &policy->paths[i];
        if (other->hash == rule->hash && other->kind == rule->kind &&
            other->length == rule->length &&
            !((other->access ^ rule->access) & KW_POLICY_EXECUTE) &&
            !memcmp(policy_text(policy, other), policy_text(of, rule), rule->length))
            return true;
    }
    return false;
}

/* Where both say the same at each place that a rule of one of them speaks of, and beneath it, they
 * do so everywhere. */
static bool is_same_at_rules(const struct kw_policy *one, const struct kw_policy *other) {
    char path[KW_POLICY_PATTERN_MAX + 3];
    for (u32 i = 0; i < one->path_count; i++) {
        const struct kw_policy_path *rule = &one->paths[i];
        if (rule->kind == KW_POLICY_GLOB && !has_same(other, one, rule))
            return false;
        for (u32 beneath = 0; beneath < 2; beneath++) {
            format(path, sizeof path, "%.*s%s", (int)rule->length, policy_text(one, rule),
                   beneath        ? "/-"
                   : rule->length ? ""
                                  : "/");
            if (rule->kind != KW_POLICY_GLOB && may_execute(one, path) != may_execute(other, path))
                return false;
        }
    }
    return true;
}

bool execution_is_same(const struct kw_policy *one, const struct kw_policy *other) {
    return may_execute(one, "/-") == may_execute(other, "/-") && is_same_at_rules(one, other) &&
           is_same_at_rules(other, one);
}
