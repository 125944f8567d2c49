#include "jail/landlock.h"

#include <linux/landlock.h>

#include "base/types.h"
#include "jail/kernel.h"

/* Newer than the headers of the oldest supported system. */
#define FS_REFER (1ul << 13)     /* version 2 */
#define FS_IOCTL_DEV (1ul << 15) /* version 5 */

/* Also making device nodes: a program that tries gets EPERM from the capability that no instance
 * has, as in a container, rather than Landlock's EACCES. */
#define FS_CHANGES                                                                                 \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                               \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | \
     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |   \
     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM | FS_REFER)
#define FS_CONTENT (LANDLOCK_ACCESS_FS_WRITE_FILE | FS_IOCTL_DEV)

/* What the kernel's version can restrict of what is restricted here. Not truncating: it would be
 * looked up at each opening for reading too, and needs a path or a descriptor that can be written.
 * No scopes: processes of an
 * instance and those that join it have rules of their own each, and signal and connect to one
 * another; to others they cannot, for namespaces. */
static u64 known_rights(long version) {
    u64 rights = FS_CHANGES | FS_IOCTL_DEV | LANDLOCK_ACCESS_FS_EXECUTE;
    if (version < 5)
        rights &= ~FS_IOCTL_DEV;
    if (version < 2)
        rights &= ~FS_REFER;
    return rights;
}

static long allow(int rules, int beneath, u64 rights) {
    struct landlock_path_beneath_attr rule = {.allowed_access = rights, .parent_fd = beneath};
    return host(__NR_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

/* Where there is no such directory there is nothing to allow. */
static long allow_path(int rules, const char *path, u64 rights) {
    long fd = host(__NR_openat, AT_FDCWD, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    long result = rights ? allow(rules, (int)fd, rights) : 0;
    host(__NR_close, fd);
    return result;
}

static long allow_all(int rules, int standins, u64 known) {
    long result = allow_path(rules, "/", known & FS_CHANGES);
    if (result >= 0)
        result = allow_path(rules, "/dev", known & FS_IOCTL_DEV);
    if (result >= 0) /* mq_open goes by a mount of the kernel's own to the same file system */
        result = allow_path(rules, "/dev/mqueue", known & FS_CHANGES);
    if (result >= 0)
        result = allow(rules, standins, known & FS_CHANGES);
    for (int i = 0; i < 3 && result >= 0; i++) {
        result = allow(rules, i, known & FS_CONTENT);
        if (result == -EBADFD) /* a pipe, which no rule is about */
            result = 0;
    }
    return result;
}

long landlock_set(int standins) {
    long version = host(__NR_landlock_create_ruleset, 0, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version == -ENOSYS || version == -EOPNOTSUPP)
        return 0;
    u64 handled = known_rights(version); /* the first member of every version's attributes */
    long rules = host(__NR_landlock_create_ruleset, &handled, sizeof handled, 0);
    if (rules < 0)
        return rules;
    long result = allow_all((int)rules, standins, handled);
    if (result >= 0)
        result = host(__NR_landlock_restrict_self, rules, 0);
    host(__NR_close, rules);
    return result;
}
