#include "jail/start.h"

#include <asm/signal.h>
#include <linux/prctl.h>
#include <linux/sched.h>

#include "base/text.h"
#include "jail/cgroup.h"
#include "jail/channel.h"
#include "jail/chroot.h"
#include "jail/executable.h"
#include "jail/idmap.h"
#include "jail/kernel.h"
#include "jail/network.h"
#include "jail/secrets.h"
#include "jail/sources.h"

#define NEW_NAMESPACES                                                                             \
    (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)

/* A pipe for descriptor `number` of the program; its inode belongs to the program's user, who may
 * open it anew through /dev/stdout. */
static long make_pipe(const struct launch *launch, int number, struct instance *instance,
                      struct jail *jail) {
    const struct kw_launch *record = launch->record;
    int ends[2];
    long result = host(__NR_pipe2, ends, O_CLOEXEC);
    if (result < 0)
        return result;
    jail->stdio[number] = ends[number > 0];
    instance->pipes[number] = ends[number == 0];
    if (launch_is(launch, KW_LAUNCH_ROOTLESS))
        return 0;
    return host(__NR_fchown, ends[0], record->host_uid_base + record->uid,
                record->host_gid_base + record->gid);
}

static bool make_stdio(const struct launch *launch, struct instance *instance, struct jail *jail,
                       struct failure *failure) {
    long result = 0;
    for (int i = 0; i < 3 && result >= 0; i++) {
        jail->stdio[i] = -1;
        instance->pipes[i] = -1;
        if (launch_is(launch, KW_LAUNCH_TTY))
            continue;
        if (i == 0 && !launch_is(launch, KW_LAUNCH_STDIN))
            jail->stdio[0] =
                (int)(result = host(__NR_openat, AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC, 0));
        else
            result = make_pipe(launch, i, instance, jail);
    }
    return result >= 0 ||
           fail(failure, STATUS_OWN, result, "making the program's input and output");
}

static long clone_into_namespaces(u64 network, int *pidfd) {
    struct clone_args args = {.flags = NEW_NAMESPACES | network | CLONE_PIDFD,
                              .pidfd = (u64)pidfd,
                              .exit_signal = SIGCHLD};
    return host(__NR_clone3, &args, sizeof args);
}

/* Without clone3, which containers do not have. */
static long clone_bare(int *pidfd) {
    return host(__NR_clone, CLONE_PIDFD | SIGCHLD, 0, pidfd, 0, 0);
}

static bool fail_clone(struct failure *failure, long error) {
    switch (error) {
    case -EPERM:
        return fail(
            failure, STATUS_OWN, error,
            "making namespaces: allow user namespaces (sysctl "
            "kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)");
    case -ENOSPC:
        return fail(failure, STATUS_OWN, error,
                    "making namespaces: raise the sysctls below user.max_*_namespaces");
    case -EAGAIN:
        return fail(failure, STATUS_OWN, error,
                    "making a process: a limit on processes is reached");
    default:
        return fail(failure, STATUS_OWN, error, "making namespaces");
    }
}

/* Returns in supervise alone. */
static bool make_process(const struct jail *jail, struct instance *instance,
                         struct failure *failure) {
    bool rootless = launch_is(jail->launch, KW_LAUNCH_ROOTLESS);
    int given = jail->launch->record->netns_fd, home;
    /* A network namespace that was given belongs to the host: nobody in the instance has a
     * capability over it. */
    u64 network = given == KW_NO_FD ? CLONE_NEWNET : 0;
    bool bare = launch_is_bare(jail->launch);
    if (!network_visit(given, &home, failure))
        return false;
    long pid =
        bare ? clone_bare(&instance->pidfd) : clone_into_namespaces(network, &instance->pidfd);
    /* There is no user namespace below a changed root. */
    if (pid == -EPERM && !bare && !rootless && chroot_leave())
        pid = clone_into_namespaces(network, &instance->pidfd);
    if (pid == 0) {
        /* Supervise's own ends, so that their closing there is seen here. */
        host(__NR_close, instance->channel);
        for (int i = 0; i < 3; i++)
            if (instance->pipes[i] >= 0)
                host(__NR_close, instance->pipes[i]);
        jail_enter(jail);
    }
    instance->pid = (int)pid;
    return pid > 0 ? network_return(home, failure) : fail_clone(failure, pid);
}

/* Opens the sources with host root's rights and sends them to the process. */
static bool send_sources(const struct launch *launch, struct instance *instance,
                         struct failure *failure) {
    struct channel_start start = {.count = 0};
    struct sources sources = {.count = 0};
    int fds[SOURCE_LIMIT];
    u32 count = 0;
    if (!launch_is(launch, KW_LAUNCH_ROOTLESS)) {
        char path[48];
        format(path, sizeof path, "/proc/%d/ns/user", instance->pid);
        long ids = host(__NR_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
        if (ids < 0)
            return fail(failure, STATUS_OWN, ids, "opening the instance's user namespace");
        if (!sources_open(launch, (int)ids, &sources, failure))
            return false;
        host(__NR_close, ids);
    }
    start.count = sources.count;
    start.overlays_made = sources.overlays_made;
    for (u32 i = 0; i < sources.count; i++) {
        start.present[i] = sources.fds[i] >= 0;
        if (sources.fds[i] >= 0)
            fds[count++] = sources.fds[i];
    }
    long result = channel_send(instance->channel, &start, sizeof start, fds, count);
    for (u32 i = 0; i < count; i++)
        host(__NR_close, fds[i]);
    instance->unmapped = sources.unmapped;
    return result >= 0 || fail(failure, STATUS_OWN, result, "sending the instance's mounts");
}

/* The child's ends and what only it needs. */
static void close_child_ends(struct instance *instance, const struct jail *jail) {
    host(__NR_close, jail->channel);
    for (int i = 0; i < 3; i++)
        if (jail->stdio[i] >= 0)
            host(__NR_close, jail->stdio[i]);
    if (launch_is(jail->launch, KW_LAUNCH_HOSTED)) {
        instance->self = jail->self;
        return;
    }
    host(__NR_close, jail->self);
}

bool instance_start(const struct launch *launch, struct instance *instance,
                    struct failure *failure) {
    struct jail jail = {.launch = launch,
                        .policy = instance->policy,
                        .bell = instance->bell,
                        .learn = instance->learn,
                        .filter = instance->filter,
                        .ceiling = instance->ceiling};
    int ends[2];
    instance->pid = -1;
    /* Now, so that the child's cgroup namespace begins there. */
    if (!cgroup_join_helping(launch->record, failure) ||
        !make_stdio(launch, instance, &jail, failure))
        return false;
    jail.self = instance->self >= 0 ? instance->self : executable_copy(failure);
    if (jail.self < 0)
        return false;
    long result = channel_pair(ends);
    if (result < 0)
        return fail(failure, STATUS_OWN, result, "making a socket pair");
    instance->channel = ends[0];
    jail.channel = ends[1];
    if (!make_process(&jail, instance, failure))
        return false;
    close_child_ends(instance, &jail);
    bool bare = launch_is_bare(launch);
    if (!bare && !idmap_write(launch, instance->pid, failure))
        return false;
    host(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
    /* The child goes on while this process waits for its own cgroups. */
    if (!bare && !send_sources(launch, instance, failure))
        return false;
    secrets_forget(launch);
    if (launch->record->netns_fd != KW_NO_FD) /* it ends with the instance's last process */
        host(__NR_close, launch->record->netns_fd);
    return cgroup_join(launch->record->cgroup_fds, failure);
}

bool instance_notice(const struct instance *instance, struct kw_message *event) {
    *event = (struct kw_message){.type = KW_EVENT_NOTICE};
    if (instance->unmapped)
        format(event->text, sizeof event->text,
               "%s: its file system cannot map owners, so files there belong to nobody",
               instance->unmapped);
    return instance->unmapped;
}
