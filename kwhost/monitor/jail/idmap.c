#include "jail/idmap.h"

#include <asm/signal.h>

#include "base/text.h"
#include "jail/kernel.h"

static bool write_file(int pid, const char *name, const char *content, struct failure *failure) {
    char path[64];
    format(path, sizeof path, "/proc/%d/%s", pid, name);
    long fd = host(__NR_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
    long result = fd < 0 ? fd : host(__NR_write, fd, content, strlen(content));
    if (fd >= 0)
        host(__NR_close, fd);
    return result >= 0 || fail(failure, STATUS_OWN, result, "writing the instance's %s", name);
}

/* Starts a helper that is installed set-user-ID. Returns its process id or a negative errno. */
static long start_helper(const char *name, char *const argv[]) {
    static const char *const directories[] = {"/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin"};
    long pid = host(__NR_fork);
    if (pid != 0)
        return pid;
    char path[64];
    host(__NR_close, 2); /* what it would say there is said in one line here */
    host(__NR_openat, AT_FDCWD, "/dev/null", O_WRONLY, 0);
    char *environment[] = {"PATH=/usr/bin:/bin", NULL};
    for (u32 i = 0; i < array_size(directories); i++) {
        format(path, sizeof path, "%s/%s", directories[i], name);
        host(__NR_execve, path, argv, environment);
    }
    for (;;)
        host(__NR_exit_group, 127);
}

static bool end_helper(long pid, const char *name, const char *file, struct failure *failure) {
    int status = 0;
    long result = pid;
    if (pid > 0)
        do
            result = host(__NR_wait4, pid, &status, 0, 0);
        while (result == -EINTR);
    if (result < 0)
        return fail(failure, STATUS_OWN, result, "running %s", name);
    if (status_code(status) == 127)
        return fail(failure, STATUS_OWN, 0, "%s is not installed: install the package uidmap",
                    name);
    return status == 0 ||
           fail(failure, STATUS_OWN, 0, "%s refused the range of ids: it must be the user's in %s",
                name, file);
}

/* Id 0 is the caller's own, the rest from the caller's subordinate range. */
static bool run_helpers(const struct kw_launch *record, int pid, struct failure *failure) {
    char process[16], own[2][16], base[2][16], count[16];
    u32 bases[2] = {record->host_uid_base, record->host_gid_base};
    const char *const names[2] = {"newuidmap", "newgidmap"};
    const char *const files[2] = {"/etc/subuid", "/etc/subgid"};
    long helpers[2];
    format(process, sizeof process, "%d", pid);
    format(count, sizeof count, "%u", record->id_count - 1);
    format(own[0], sizeof own[0], "%u", (u32)host(__NR_geteuid));
    format(own[1], sizeof own[1], "%u", (u32)host(__NR_getegid));
    for (u32 i = 0; i < 2; i++) {
        format(base[i], sizeof base[i], "%u", bases[i]);
        char *argv[] = {(char *)names[i], process, "0", own[i], "1", "1", base[i], count, NULL};
        helpers[i] = start_helper(names[i], argv);
    }
    bool good = end_helper(helpers[0], names[0], files[0], failure);
    return end_helper(helpers[1], names[1], files[1], failure) && good;
}

bool idmap_write(const struct launch *launch, int pid, struct failure *failure) {
    const struct kw_launch *record = launch->record;
    char users[48], groups[48];
    if (launch_is(launch, KW_LAUNCH_ROOTLESS)) {
        if (record->id_count > 1)
            return run_helpers(record, pid, failure);
        format(users, sizeof users, "0 %u 1", (u32)host(__NR_geteuid));
        format(groups, sizeof groups, "0 %u 1", (u32)host(__NR_getegid));
        if (!write_file(pid, "setgroups", "deny", failure))
            return false;
    } else {
        format(users, sizeof users, "0 %u %u", record->host_uid_base, record->id_count);
        format(groups, sizeof groups, "0 %u %u", record->host_gid_base, record->id_count);
    }
    return write_file(pid, "uid_map", users, failure) &&
           write_file(pid, "gid_map", groups, failure);
}
