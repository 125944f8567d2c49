#include "jail/jail.h"

#include <asm/poll.h>
#include <asm/signal.h>
#include <linux/close_range.h>
#include <linux/poll.h>
#include <linux/prctl.h>
#include <linux/sched.h>

#include "base/text.h"
#include "jail/bare.h"
#include "jail/cgroup.h"
#include "jail/channel.h"
#include "jail/entry_program.h"
#include "jail/filesystem.h"
#include "jail/kernel.h"
#include "jail/mounts.h"
#include "jail/namespaces.h"
#include "jail/network.h"
#include "jail/proc.h"
#include "jail/secrets.h"
#include "procfs/procfs.h"
#include "procfs/table.h"

/* What only the first process has to do with. */
struct first {
    struct entry entry;
    struct sources sources;
    struct root root;
};

/* The supervisor's death ends the instance. Set anew after each change of credentials, which clears
 * it; the channel tells whether the supervisor died before. */
static bool follow_parent(struct entry *entry) {
    struct pollfd channel = {.fd = entry->channel};
    long result = host(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (result < 0)
        return fail(&entry->failure, STATUS_OWN, result, "following the supervisor");
    host(__NR_poll, &channel, 1, 0);
    if (channel.revents & (POLLHUP | POLLERR))
        host(__NR_exit_group, STATUS_OWN);
    return true;
}

/* Waits for the maps and what comes with them. */
static bool wait_for_start(struct first *first) {
    struct entry *entry = &first->entry;
    struct channel_start start;
    int fds[SOURCE_LIMIT];
    u32 fd_count, next = 0;
    long result =
        channel_receive(entry->channel, &start, sizeof start, fds, SOURCE_LIMIT, &fd_count);
    if (result == 0)
        host(__NR_exit_group, STATUS_OWN); /* the supervisor is gone */
    if (result != sizeof start || start.count > SOURCE_LIMIT)
        return fail(&entry->failure, STATUS_OWN, result < 0 ? result : 0,
                    "receiving the instance's mounts");
    for (u32 i = 0; i < start.count; i++)
        first->sources.fds[i] = start.present[i] && next < fd_count ? fds[next++] : -1;
    first->sources.count = start.count;
    first->sources.overlays_made = start.overlays_made;
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
    if (launch_is_process(entry->launch)) {
        entry->standins = -1;
        proc_forbid_user_namespaces(entry->proc);
        return true;
    }
    entry->standins = procfs_make_standins();
    return entry->standins >= 0 ||
           fail(&entry->failure, STATUS_OWN, entry->standins, "making the stand-ins for /proc");
}

static bool leave_mounts(struct entry *entry) {
    struct mount_attr private = {.propagation = MS_PRIVATE};
    long result = host(__NR_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &private, sizeof private);
    if (result < 0)
        return fail(&entry->failure, STATUS_OWN, result, "making the mounts private");
    return make_procfs(entry);
}

static bool make_root(struct first *first) {
    struct entry *entry = &first->entry;
    if (launch_is(entry->launch, KW_LAUNCH_ROOTLESS) &&
        !sources_open(entry->launch, -1, &first->sources, &entry->failure))
        return false;
    secrets_forget(entry->launch);
    if (!mounts_apply(entry->launch, &first->sources, entry->proc, &first->root, &entry->failure))
        return false;
    entry->flags = first->root.sealed ? 0 : EXEC_PROC_UNSEALED;
    return true;
}

/* What processes that join a hosted instance later will need as well, and a broker at once. */
static bool hand_over_join(struct first *first) {
    struct entry *entry = &first->entry;
    struct channel_report report = {.type = CHANNEL_JOIN, .value = entry->flags};
    const int fds[JOIN_FDS] = {[JOIN_TABLE] = entry->table,
                               [JOIN_PROC] = entry->proc,
                               [JOIN_STANDINS] = entry->standins,
                               [JOIN_ROOT] = first->root.fd,
                               [JOIN_DEVPTS] = first->root.devpts};
    int sent[JOIN_FDS];
    u32 count = 0;
    if (!launch_is(entry->launch, KW_LAUNCH_HOSTED) && !launch_is_process(entry->launch))
        return true;
    for (u32 i = 0; i < JOIN_FDS; i++)
        if (fds[i] >= 0) {
            report.shared |= 1u << i;
            sent[count++] = fds[i];
        }
    long result = channel_send(entry->channel, &report, sizeof report, sent, count);
    return result >= 0 ||
           fail(&entry->failure, STATUS_OWN, result, "handing descriptors to the supervisor");
}

static bool offer_network(struct entry *entry) {
    return !launch_is(entry->launch, KW_LAUNCH_NETWORK) ||
           namespaces_offer_network(entry->channel, entry->proc, &entry->failure);
}

static bool offer_namespaces(struct entry *entry) {
    return !launch_is_process(entry->launch) ||
           namespaces_offer_broker(entry->channel, entry->proc, &entry->failure);
}

/* As late as can be: the network is made while the jail is. */
static bool wait_for_network(struct entry *entry) {
    return !launch_is(entry->launch, KW_LAUNCH_NETWORK) ||
           network_wait(entry->channel, &entry->failure);
}

static bool make_table(struct entry *entry) {
    if (launch_is_process(entry->launch)) {
        entry->table = -1;
        return true;
    }
    entry->table = table_create();
    return entry->table >= 0 ||
           fail(&entry->failure, STATUS_OWN, entry->table, "making the process table");
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
    host(__NR_execveat, entry->self, "", argv, environment, AT_EMPTY_PATH);
    for (;;)
        host(__NR_exit_group, STATUS_OWN);
}

/* A namespace that was given is set up, and not this process's to change. */
static bool start_network(struct entry *entry) {
    return entry->launch->record->netns_fd != KW_NO_FD ||
           network_start(entry->proc, &entry->failure);
}

/* The cgroup namespace begins there, and not where supervise was started. */
static bool be_counted(struct entry *entry) {
    const struct kw_launch *record = entry->launch->record;
    if (!record->counted_cgroup)
        return true;
    if (!cgroup_join_counted(record, &entry->failure))
        return false;
    long result = host(__NR_unshare, CLONE_NEWCGROUP);
    return result >= 0 || fail(&entry->failure, STATUS_OWN, result, "making a cgroup namespace");
}

static bool enter(struct first *first) {
    struct entry *entry = &first->entry;
    const struct launch *launch = entry->launch;
    return follow_parent(entry) && wait_for_start(first) && entry_become_root(entry) &&
           follow_parent(entry) && be_counted(entry) && leave_mounts(entry) &&
           start_network(entry) && make_root(first) &&
           entry_make_terminal(entry, first->root.devpts) && offer_network(entry) &&
           network_name(launch->record->name, &entry->failure) &&
           mounts_enter(launch, &first->root, &entry->failure) && entry_go_to_workdir(entry) &&
           make_table(entry) && offer_namespaces(entry) && hand_over_join(first) &&
           entry_place(entry) && entry_give_up_privileges(entry) && follow_parent(entry) &&
           wait_for_network(entry) && split_init(entry) && entry_take_stdio(entry) &&
           entry_start(entry);
}

_Noreturn void jail_enter(const struct jail *jail) {
    const struct kw_launch *record = jail->launch->record;
    struct first first = {.entry = {.launch = jail->launch,
                                    .instance = jail->launch,
                                    .channel = jail->channel,
                                    .self = jail->self,
                                    .kvm = record->kvm_fd,
                                    .stats = record->stats_fd,
                                    .policy = jail->policy,
                                    .bell = jail->bell,
                                    .learn = jail->learn,
                                    .filter = jail->filter,
                                    .ceiling = jail->ceiling}};
    u64 all = ~0ul, default_action[4] = {0};
    memcpy(first.entry.stdio, jail->stdio, sizeof first.entry.stdio);
    host(__NR_rt_sigaction, SIGPIPE, default_action, 0, sizeof all);
    /* Signals wait until the monitor has its handlers: none that the supervisor passes on is lost.
     */
    host(__NR_rt_sigprocmask, SIG_SETMASK, &all, 0, sizeof all);
    host(__NR_umask, 0); /* modes of what is made are exact */
    if (launch_is_bare(jail->launch))
        bare_enter(&first.entry);
    else
        enter(&first);
    entry_fail(&first.entry);
}
