#include "jail/bare_rules.h"

#include "jail/kernel.h"
#include "jail/landlock.h"

/* Newer than the headers of the oldest supported system. */
#define FS_TRUNCATE (1ul << 14)  /* version 3 */
#define FS_IOCTL_DEV (1ul << 15) /* version 5 */
#define NET_ALL 3ul              /* version 4: binding and connecting TCP ports */
#define SCOPE_ALL 3ul            /* version 6: abstract Unix sockets, signals */

#define READING (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define OF_FILES                                                                                   \
    (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_EXECUTE |   \
     FS_TRUNCATE | FS_IOCTL_DEV)
#define OF_DEVICES                                                                                 \
    (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE | FS_IOCTL_DEV)

/* struct landlock_ruleset_attr of version 6; of an earlier one the beginning. */
struct rule_set {
    u64 files, ports, scopes;
};

static struct rule_set handled_by(long version, bool shares_id) {
    struct rule_set set = {.files = LANDLOCK_CHANGES | READING | LANDLOCK_ACCESS_FS_EXECUTE |
                                    FS_TRUNCATE | FS_IOCTL_DEV,
                           .ports = version >= 4 ? NET_ALL : 0,
                           .scopes = version >= 6 && shares_id ? SCOPE_ALL : 0};
    if (version < 5)
        set.files &= ~FS_IOCTL_DEV;
    if (version < 3)
        set.files &= ~FS_TRUNCATE;
    if (version < 2)
        set.files &= ~LANDLOCK_REFER;
    return set;
}

static size_t size_for(long version) {
    return version >= 6   ? sizeof(struct rule_set)
           : version >= 4 ? offsetof(struct rule_set, scopes)
                          : offsetof(struct rule_set, ports);
}

static u64 rights_of(const struct launch_mount *mount) {
    if (mount->kind == KW_MOUNT_TMPFS)
        return ~FS_IOCTL_DEV;
    if (mount->flags & KW_MOUNT_DEVICE)
        return OF_DEVICES;
    return mount->flags & KW_MOUNT_NO_EXEC ? READING : READING | LANDLOCK_ACCESS_FS_EXECUTE;
}

static long allow(int rules, u64 handled, const struct launch_mount *mount) {
    struct statx stat;
    long fd = host(__NR_openat, AT_FDCWD, mount->target, O_PATH | O_CLOEXEC, 0);
    if (fd < 0)
        return mount->flags & KW_MOUNT_OPTIONAL ? 0 : fd;
    long result = host_stat((int)fd, "", AT_EMPTY_PATH, &stat);
    u64 rights = rights_of(mount) & handled;
    if (result >= 0)
        result =
            landlock_allow(rules, (int)fd, S_ISDIR(stat.stx_mode) ? rights : rights & OF_FILES);
    host(__NR_close, fd);
    return result;
}

static long allow_all(int rules, u64 handled, const struct launch *instance, const char **path) {
    long result = 0;
    for (u32 i = 0; i < instance->record->mount_count && result >= 0; i++) {
        *path = instance->mounts[i].target;
        result = allow(rules, handled, &instance->mounts[i]);
    }
    for (int i = 0; i < 3 && result >= 0; i++)
        result = landlock_allow_stream(rules, i, handled & OF_DEVICES);
    return result;
}

long bare_restrict(const struct launch *instance, const char **path) {
    *path = "/";
    long version = landlock_version();
    if (version == -ENOSYS || version == -EOPNOTSUPP)
        return 0;
    const struct rule_set set = handled_by(version, launch_is(instance, KW_LAUNCH_ROOTLESS));
    long rules = host(__NR_landlock_create_ruleset, &set, size_for(version), 0);
    if (rules < 0)
        return rules;
    long result = allow_all((int)rules, set.files, instance, path);
    if (result >= 0)
        result = host(__NR_landlock_restrict_self, rules, 0);
    host(__NR_close, rules);
    return result;
}
