#include "jail/landlock.h"

#include <linux/landlock.h>

#include "base/types.h"
#include "jail/kernel.h"

#define FS_IOCTL_DEV (1ul << 15) /* version 5; newer than some supported systems' headers */

#define TCP_BIND (1ul << 0) /* version 4, likewise */
#define TCP_CONNECT (1ul << 1)

#define FS_CONTENT (LANDLOCK_ACCESS_FS_WRITE_FILE | FS_IOCTL_DEV)

/* What the kernel's version can restrict of what is restricted here. Not truncating: it would be
 * looked up at each opening for reading too, and needs a path or a descriptor that can be written.
 * No scopes: processes of an
 * instance and those that join it have rules of their own each, and signal and connect to one
 * another; to others they cannot, for namespaces. */
static u64 known_rights(long version) {
    u64 rights = LANDLOCK_CHANGES | FS_IOCTL_DEV | LANDLOCK_ACCESS_FS_EXECUTE;
    if (version < 5)
        rights &= ~FS_IOCTL_DEV;
    if (version < 2)
        rights &= ~LANDLOCK_REFER;
    return rights;
}

long landlock_version(void) {
    return host(__NR_landlock_create_ruleset, 0, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

long landlock_allow(int rules, int beneath, u64 rights) {
    struct landlock_path_beneath_attr rule = {.allowed_access = rights, .parent_fd = beneath};
    return host(__NR_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

/* A pipe is nothing that a rule can be about. */
long landlock_allow_stream(int rules, int fd, u64 rights) {
    long result = landlock_allow(rules, fd, rights);
    return result == -EBADFD ? 0 : result;
}

/* Where there is no such directory there is nothing to allow. */
static long allow_path(int rules, const char *path, u64 rights) {
    long fd = host(__NR_openat, AT_FDCWD, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    long result = rights ? landlock_allow(rules, (int)fd, rights) : 0;
    host(__NR_close, fd);
    return result;
}

static long allow_all(int rules, int standins, u64 beneath_root, u64 known) {
    long result = allow_path(rules, "/", known & beneath_root);
    if (result >= 0)
        result = allow_path(rules, "/dev", known & FS_IOCTL_DEV);
    if (result >= 0) /* mq_open goes by a mount of the kernel's own to the same file system */
        result = allow_path(rules, "/dev/mqueue", known & LANDLOCK_CHANGES);
    if (result >= 0 && standins >= 0)
        result = landlock_allow(rules, standins, known & LANDLOCK_CHANGES);
    for (int i = 0; i < 3 && result >= 0; i++)
        result = landlock_allow_stream(rules, i, known & FS_CONTENT);
    return result;
}

/* Without TCP no address can be bound or connected to. */
static long set_rules(const struct kw_ceiling *ceiling, const struct grants_own *own,
                      u64 beneath_root, bool without_tcp) {
    long version = landlock_version();
    if (version == -ENOSYS || version == -EOPNOTSUPP)
        return 0;
    struct { /* the first members of every version's attributes; earlier ones take zeros */
        u64 files, network;
    } handled = {known_rights(version), without_tcp && version >= 4 ? TCP_BIND | TCP_CONNECT : 0};
    long rules = host(__NR_landlock_create_ruleset, &handled, sizeof handled, 0);
    if (rules < 0)
        return rules;
    long result = allow_all((int)rules, own->standins, beneath_root, handled.files);
    if (result >= 0)
        result = host(__NR_landlock_restrict_self, rules, 0);
    host(__NR_close, rules);
    return result >= 0 && ceiling ? grants_set(ceiling, version, own) : result;
}

long landlock_set(const struct kw_ceiling *ceiling, const struct grants_own *own) {
    return set_rules(ceiling, own, LANDLOCK_CHANGES, false);
}

long landlock_set_program(const struct kw_ceiling *ceiling, bool without_tcp) {
    const struct grants_own own = {.procfs = -1, .standins = -1};
    return set_rules(ceiling, &own, LANDLOCK_CHANGES | LANDLOCK_ACCESS_FS_EXECUTE, without_tcp);
}
