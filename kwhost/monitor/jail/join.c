#include "jail/join.h"

#include <asm/signal.h>
#include <linux/magic.h>
#include <linux/sched.h>

#include "base/text.h"
#include "jail/bare.h"
#include "jail/cgroup.h"
#include "jail/descriptors.h"
#include "jail/entry_program.h"
#include "jail/kernel.h"

#define NAMESPACES                                                                                 \
    (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP |  \
     CLONE_NEWNET)

struct statfs_head { /* struct statfs begins with it */
    long type, rest[31];
};

/* Everything else that supervise holds is closed before anything is joined. */
static void keep_own(const struct join *join) {
    const int *cgroups = join->instance->record->guest_cgroup_fds;
    int kept[10 + JOIN_FDS + KW_CGROUPS_MAX] = {
        join->first,  join->channel, join->self,     join->kvm,      join->stats,
        join->policy, join->bell,    join->stdio[0], join->stdio[1], join->stdio[2]};
    memcpy(kept + 10, join->shared, sizeof join->shared);
    memcpy(kept + 10 + JOIN_FDS, cgroups, KW_CGROUPS_MAX * sizeof(int));
    descriptors_keep(kept, array_size(kept));
}

/* The program's user may open its own pipes anew, through /dev/stdout. Only pipes without a name:
 * whatever else was passed has an owner of its own. */
static void own_pipes(const struct join *join) {
    const struct kw_launch *record = join->launch->record;
    struct statfs_head status;
    for (int i = 0; i < 3; i++)
        if (join->stdio[i] >= 0 && !launch_is(join->launch, KW_LAUNCH_ROOTLESS) &&
            host(__NR_fstatfs, join->stdio[i], &status) == 0 && status.type == PIPEFS_MAGIC)
            host(__NR_fchown, join->stdio[i], record->host_uid_base + record->uid,
                 record->host_gid_base + record->gid);
}

/* What only the helper needs. */
static void close_helpers(const struct join *join) {
    const int *cgroups = join->instance->record->guest_cgroup_fds;
    for (u32 i = 0; i < KW_CGROUPS_MAX; i++)
        if (cgroups[i] >= 0)
            host(__NR_close, cgroups[i]);
    host(__NR_close, join->first);
}

static bool join_namespaces(struct entry *entry, const struct join *join) {
    long result = host(__NR_setns, join->first, NAMESPACES);
    if (result == -ESRCH)
        return fail(&entry->failure, STATUS_OWN, 0, "the instance has ended");
    return result >= 0 ||
           fail(&entry->failure, STATUS_OWN, result, "joining the instance's namespaces");
}

/* Returns in the child alone. Whenever the helper is killed, supervise knows whether there is one.
 */
static bool split(struct entry *entry, int *child) {
    long pid = host(__NR_clone, CLONE_PARENT | CLONE_PARENT_SETTID, 0, child, 0, 0);
    if (pid == 0)
        return true;
    if (pid == -ENOMEM) /* so the kernel says that the first process of the namespace has ended */
        return fail(&entry->failure, STATUS_OWN, 0, "the instance is ending, or out of memory");
    if (pid < 0)
        return fail(&entry->failure, STATUS_OWN, pid, "making a process in the instance");
    for (;;)
        host(__NR_exit_group, 0);
}

static bool leave_host(struct entry *entry, const struct join *join) {
    keep_own(join);
    own_pipes(join);
    bool bare = launch_is_bare(join->instance);
    if (!cgroup_join_helping(join->instance->record, &entry->failure) ||
        (!bare && !join_namespaces(entry, join)))
        return false;
    return (bare || entry_become_root(entry)) && split(entry, join->pid) &&
           cgroup_join_counted(join->instance->record, &entry->failure);
}

/* Supervise knows this process now; without an answer it is gone, or nobody wants this any more. */
static void wait_for_answer(const struct entry *entry) {
    char answer;
    u32 count;
    if (channel_receive(entry->channel, &answer, sizeof answer, NULL, 0, &count) <= 0)
        host(__NR_exit_group, STATUS_OWN);
}

/* By descriptor, wherever joining the mount namespace has led. */
static bool enter_root(struct entry *entry, int root) {
    long result = host(__NR_fchdir, root);
    if (result >= 0)
        result = host(__NR_chroot, ".");
    return result >= 0 || fail(&entry->failure, STATUS_OWN, result, "entering the instance's root");
}

static bool enter(struct entry *entry, const struct join *join) {
    if (!leave_host(entry, join))
        return false;
    close_helpers(join);
    wait_for_answer(entry);
    if (launch_is_bare(join->instance))
        return bare_join(entry, join->shared[JOIN_ROOT], join->shared[JOIN_DEVPTS]);
    return enter_root(entry, join->shared[JOIN_ROOT]) &&
           entry_make_terminal(entry, join->shared[JOIN_DEVPTS]) && entry_go_to_workdir(entry) &&
           entry_place(entry) && entry_give_up_privileges(entry) && entry_take_stdio(entry) &&
           entry_start(entry);
}

_Noreturn void join_enter(const struct join *join) {
    struct entry entry = {.launch = join->launch,
                          .instance = join->instance,
                          .channel = join->channel,
                          .self = join->self,
                          .kvm = join->kvm,
                          .stats = join->stats,
                          .policy = join->policy,
                          .bell = join->bell,
                          .learn = -1, /* only in the foreground, where nobody joins */
                          .filter = join->filter,
                          .ceiling = join->ceiling,
                          .table = join->shared[JOIN_TABLE],
                          .proc = join->shared[JOIN_PROC],
                          .standins = join->shared[JOIN_STANDINS],
                          .flags = join->flags | EXEC_JOINED};
    u64 all = ~0ul, default_action[4] = {0};
    memcpy(entry.stdio, join->stdio, sizeof entry.stdio);
    host(__NR_rt_sigaction, SIGPIPE, default_action, 0, sizeof all);
    host(__NR_rt_sigprocmask, SIG_SETMASK, &all, 0, sizeof all);
    host(__NR_umask, 0);
    enter(&entry, join);
    entry_fail(&entry);
}
