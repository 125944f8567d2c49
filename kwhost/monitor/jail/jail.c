#include "jail/jail.h"

#include <asm/poll.h>
#include <asm/signal.h>
#include <linux/close_range.h>
#include <linux/poll.h>
#include <linux/prctl.h>

#include "base/text.h"
#include "jail/channel.h"
#include "jail/filesystem.h"
#include "jail/idmap.h"
#include "jail/identity.h"
#include "jail/kernel.h"
#include "jail/mounts.h"
#include "jail/network.h"
#include "jail/paths.h"
#include "jail/program.h"
#include "jail/terminal.h"
#include "process/exec.h"
#include "procfs/procfs.h"
#include "procfs/table.h"

/* The child's state on its way. */
struct entry {
    const struct jail *jail;
    const struct launch *launch;
    struct sources sources;
    struct root root;
    struct limits limits;
    int proc;     /* detached procfs */
    int standins; /* detached tmpfs of procfs/standin.h */
    int terminal; /* slave of the program's terminal, -1: none */
    struct failure failure;
    struct exec_record record;
};

/* The supervisor's death ends the instance. Set anew after each change of credentials, which clears
 * it; the channel tells whether the supervisor died before. */
static bool follow_parent(struct entry *entry) {
    struct pollfd channel = {.fd = entry->jail->channel};
    long result = host(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (result < 0)
        return fail(&entry->failure, STATUS_OWN, result, "following the supervisor");
    host(__NR_poll, &channel, 1, 0);
    if (channel.revents & (POLLHUP | POLLERR))
        host(__NR_exit_group, STATUS_OWN);
    return true;
}

/* Waits for the maps and what comes with them. */
static bool wait_for_start(struct entry *entry) {
    struct channel_start start;
    int fds[SOURCE_LIMIT];
    u32 fd_count, next = 0;
    long result =
        channel_receive(entry->jail->channel, &start, sizeof start, fds, SOURCE_LIMIT, &fd_count);
    if (result == 0)
        host(__NR_exit_group, STATUS_OWN); /* the supervisor is gone */
    if (result != sizeof start || start.count > SOURCE_LIMIT)
        return fail(&entry->failure, STATUS_OWN, result < 0 ? result : 0,
                    "receiving the instance's mounts");
    for (u32 i = 0; i < start.count; i++)
        entry->sources.fds[i] = start.present[i] && next < fd_count ? fds[next++] : -1;
    entry->sources.count = start.count;
    entry->sources.overlays_made = start.overlays_made;
    return true;
}

/* A procfs of the new pid namespace. The kernel makes one only where an older one is in full view,
 * so it comes before the old root goes. It stays detached: the monitor alone reaches it, by
 * descriptor. */
static bool make_procfs(struct entry *entry) {
    char log[FILESYSTEM_LOG];
    u64 attributes = FILESYSTEM_SAFE | MOUNT_ATTR_NOEXEC;
    long fd = filesystem_new("proc", NULL, attributes, log);
    entry->proc = (int)fd;
    if (fd < 0)
        return fail(&entry->failure, STATUS_OWN, fd,
                    "making a procfs (where /proc is partly hidden, as in a container, none can "
                    "be made)%s",
                    log);
    entry->standins = procfs_make_standins();
    return entry->standins >= 0 ||
           fail(&entry->failure, STATUS_OWN, entry->standins, "making the stand-ins for /proc");
}

static bool make_root(struct entry *entry) {
    struct mount_attr private = {.propagation = MS_PRIVATE};
    long result = host(__NR_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &private, sizeof private);
    if (result < 0)
        return fail(&entry->failure, STATUS_OWN, result, "making the mounts private");
    if (!make_procfs(entry))
        return false;
    if (launch_is(entry->launch, KW_LAUNCH_ROOTLESS) &&
        !sources_open(entry->launch, -1, &entry->sources, &entry->failure))
        return false;
    return mounts_apply(entry->launch, &entry->sources, &entry->root, &entry->failure);
}

static bool make_terminal(struct entry *entry) {
    struct channel_report report = {.type = CHANNEL_TERMINAL};
    int pair[2];
    entry->terminal = -1;
    if (!launch_is(entry->launch, KW_LAUNCH_TTY))
        return true;
    if (!terminal_make(entry->launch, entry->root.devpts, pair, &entry->failure))
        return false;
    entry->terminal = pair[1];
    long result = channel_send(entry->jail->channel, &report, sizeof report, pair, 2);
    host(__NR_close, pair[0]);
    return result >= 0 ||
           fail(&entry->failure, STATUS_OWN, result, "handing the terminal to the supervisor");
}

static bool enter_workdir(struct entry *entry) {
    const char *path = entry->launch->workdir;
    long result = host(__NR_chdir, path);
    if (result == -ENOENT) {
        long root = host(__NR_openat, AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
        long made = root < 0 ? root : inside_make_directory((int)root, path, 0755);
        result = made < 0 ? made : host(__NR_fchdir, made);
    }
    return result >= 0 ||
           fail(&entry->failure, STATUS_REFUSED, result, "the working directory %s", path);
}

/* A session of its own, and standard input, output and error. */
static bool take_stdio(struct entry *entry) {
    host(__NR_setsid);
    if (entry->terminal >= 0 && !terminal_control(entry->terminal, &entry->failure))
        return false;
    for (int i = 0; i < 3; i++) {
        int from = entry->terminal >= 0 ? entry->terminal : entry->jail->stdio[i];
        long result = host(__NR_dup3, from, i, 0);
        if (result < 0)
            return fail(&entry->failure, STATUS_OWN, result, "descriptor %d of the program", i);
    }
    return true;
}

/* The program's user may open its own pipes anew, through /dev/stdout. Host root has seen to it
 * before. */
static void own_pipes(struct entry *entry) {
    const struct kw_launch *record = entry->launch->record;
    if (launch_is(entry->launch, KW_LAUNCH_ROOTLESS) && record->uid != 0)
        for (int i = 0; i < 3; i++)
            host(__NR_fchown, entry->jail->stdio[i], record->uid, record->gid);
}

static bool place(struct entry *entry, enum own_fd which, int fd) {
    int number = (int)entry->limits.own_base + (int)which;
    long result = host(__NR_dup3, fd, number, 0);
    return result >= 0 ||
           fail(&entry->failure, STATUS_OWN, result, "placing descriptor %d", number);
}

/* Everything but standard input, output and error and the monitor's own goes at exec. */
static bool place_descriptors(struct entry *entry) {
    own_pipes(entry);
    long result = host(__NR_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC);
    if (result < 0)
        return fail(&entry->failure, STATUS_OWN, result, "closing descriptors");
    int table = table_create();
    if (table < 0)
        return fail(&entry->failure, STATUS_OWN, table, "making the process table");
    const struct kw_launch *record = entry->launch->record;
    return place(entry, OWN_SELF, entry->jail->self) && place(entry, OWN_KVM, record->kvm_fd) &&
           place(entry, OWN_STATS, record->stats_fd) && place(entry, OWN_TABLE, table) &&
           place(entry, OWN_PROC, entry->proc) && place(entry, OWN_STANDINS, entry->standins);
}

/* From here on nothing can be gained any more: neither privileges nor a look into this process. */
static bool give_up_privileges(struct entry *entry) {
    if (!identity_drop(entry->launch, idmap_allows_groups(entry->launch), &entry->failure))
        return false;
    long result = host(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (result >= 0)
        result = host(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (result < 0)
        return fail(&entry->failure, STATUS_OWN, result, "giving up privileges");
    host(__NR_umask, 022);
    return follow_parent(entry);
}

/* With --init this process becomes the reaper and a child goes on. The reaper is executed anew, so
 * that it holds nothing: no descriptor, none of this memory. */
static bool split_init(struct entry *entry) {
    char number[16];
    if (!launch_is(entry->launch, KW_LAUNCH_INIT))
        return true;
    long child = host(__NR_fork);
    if (child < 0)
        return fail(&entry->failure, STATUS_OWN, child, "starting the reaper");
    if (child == 0)
        return true;
    host(__NR_setsid);
    format(number, sizeof number, "%d", (int)child);
    char *argv[] = {"kwhost-monitor", "init", number, NULL}, *environment[] = {NULL};
    host(__NR_close_range, 0, ~0u, CLOSE_RANGE_CLOEXEC);
    host(__NR_execveat, entry->jail->self, "", argv, environment, AT_EMPTY_PATH);
    for (;;)
        host(__NR_exit_group, STATUS_OWN);
}

/* The path a descriptor's file has now, seen from the present root. */
static void read_path(int proc, int fd, const char *otherwise, char *path) {
    char link[32];
    format(link, sizeof link, "self/fd/%d", fd);
    long length = host(__NR_readlinkat, proc, link, path, PATH_MAX - 1);
    if (length <= 0)
        format(path, PATH_MAX, "%s", otherwise);
    else
        path[length] = 0;
}

static bool write_record(struct entry *entry) {
    struct exec_record *record = &entry->record;
    int program = program_open(entry->launch, record->exec_name, &entry->failure);
    if (program < 0)
        return false;
    record->magic = EXEC_MAGIC;
    record->size = sizeof *record;
    record->flags = EXEC_FIRST | (entry->root.sealed ? 0 : EXEC_PROC_UNSEALED);
    record->started_ns = entry->launch->record->started_ns;
    record->dumpable = 1;
    memcpy(record->rlimits, entry->limits.values, sizeof record->rlimits);
    read_path(entry->proc, program, record->exec_name, record->exe_path);
    long memory = host(__NR_memfd_create, "kwhost-exec", MFD_CLOEXEC | MFD_NOEXEC_SEAL);
    if (memory == -EINVAL)
        memory = host(__NR_memfd_create, "kwhost-exec", MFD_CLOEXEC);
    long result = memory < 0 ? memory : host(__NR_pwrite64, memory, record, sizeof *record, 0);
    if (result != sizeof *record)
        return fail(&entry->failure, STATUS_OWN, result < 0 ? result : 0, "the exec record");
    return place(entry, OWN_RECORD, (int)memory) && place(entry, OWN_PROGRAM, program);
}

static bool start_monitor(struct entry *entry) {
    const struct launch *launch = entry->launch;
    if (!write_record(entry) || !identity_finish_limits(&entry->limits, &entry->failure))
        return false;

    /* Here Landlock's rules and then the first monitor's seccomp filter are to be set, both made
     * from the policy's ceiling: after everything that needs more than they allow, before the first
     * byte of the program is read by the monitor. */

    long result = host(__NR_execveat, (int)entry->limits.own_base + OWN_SELF, "", launch->argv,
                       launch->envp, AT_EMPTY_PATH);
    bool too_long = result == -E2BIG; /* the guest's own arguments, and its shell's status for it */
    return fail(&entry->failure, too_long ? STATUS_REFUSED : STATUS_OWN, result, "%s%.*s",
                too_long ? "" : "starting the monitor of ", 100, launch->argv[0]);
}

static bool enter(struct entry *entry) {
    const struct launch *launch = entry->launch;
    bool may_set_groups = idmap_allows_groups(launch);
    return follow_parent(entry) && wait_for_start(entry) &&
           identity_become_root(may_set_groups, &entry->failure) && follow_parent(entry) &&
           make_root(entry) && make_terminal(entry) &&
           network_start(entry->proc, &entry->failure) &&
           network_name(launch->record->name, &entry->failure) &&
           mounts_enter(launch, &entry->root, &entry->failure) && enter_workdir(entry) &&
           identity_limit(launch, &entry->limits, &entry->failure) && place_descriptors(entry) &&
           give_up_privileges(entry) && split_init(entry) && take_stdio(entry) &&
           start_monitor(entry);
}

_Noreturn void jail_enter(const struct jail *jail) {
    struct entry entry = {.jail = jail, .launch = jail->launch};
    u64 all = ~0ul, default_action[4] = {0};
    host(__NR_rt_sigaction, SIGPIPE, default_action, 0, sizeof all);
    /* Signals wait until the monitor has its handlers: none that the supervisor passes on is lost.
     */
    host(__NR_rt_sigprocmask, SIG_SETMASK, &all, 0, sizeof all);
    host(__NR_umask, 0); /* modes of what is made are exact */
    if (!enter(&entry)) {
        struct channel_report report = {.type = CHANNEL_FAILED, .failure = entry.failure};
        channel_send(jail->channel, &report, sizeof report, NULL, 0);
    }
    for (;;)
        host(__NR_exit_group, entry.failure.status);
}
