#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Of linux/landlock.h, which on some supported systems is older than their kernel. */
#define VERSION 1u
#define PATH_BENEATH 1
#define EXECUTE 1ull
#define READ_FILE (1ull << 2)
#define REMOVE_FILE (1ull << 5)
#define BIND_TCP 1ull
#define ALL_SCOPES 3ull
struct handled {
    uint64_t files, network, scopes;
};
struct rule {
    uint64_t allowed;
    int32_t beneath;
} __attribute__((packed));

/* What this version can restrict: rights over files came with versions 2, 3 and 5, ports with 4,
 * signals and abstract sockets with 6. */
static struct handled handled_by(long version) {
    unsigned rights = version == 1 ? 13 : version == 2 ? 14 : version < 5 ? 15 : 16;
    return (struct handled){.files = (1ull << rights) - 1,
                            .network = version >= 4 ? BIND_TCP : 0,
                            .scopes = version >= 6 ? ALL_SCOPES : 0};
}

static int allow(int rules, int beneath, uint64_t rights) {
    struct rule rule = {rights, beneath};
    return syscall(SYS_landlock_add_rule, rules, PATH_BENEATH, &rule, 0) < 0 ? -errno : 0;
}

static int allow_itself(int rules) {
    int program = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    if (program < 0)
        return -errno;
    int error = allow(rules, program, EXECUTE | READ_FILE);
    close(program);
    return error;
}

int files_restrict(int directory) {
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, VERSION);
    if (version < 0)
        return errno == ENOSYS || errno == EOPNOTSUPP ? 0 : -errno;
    struct handled handled = handled_by(version);
    size_t size = version >= 6 ? 24 : version >= 4 ? 16 : 8;
    int rules = (int)syscall(SYS_landlock_create_ruleset, &handled, size, 0);
    if (rules < 0)
        return -errno;
    int error = allow_itself(rules);
    if (!error)
        error = allow(rules, directory, REMOVE_FILE);
    if (!error && syscall(SYS_landlock_restrict_self, rules, 0) < 0)
        error = -errno;
    close(rules);
    return error;
}
