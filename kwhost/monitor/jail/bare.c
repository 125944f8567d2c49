#include "jail/bare.h"

#include <asm/poll.h>
#include <asm/signal.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <linux/poll.h>
#include <linux/prctl.h>

#include "base/text.h"
#include "jail/cgroup.h"
#include "jail/channel.h"
#include "jail/entry_program.h"
#include "jail/keeper.h"
#include "jail/kernel.h"
#include "jail/marker.h"
#include "jail/scratch.h"

u32 bare_uid(const struct launch *launch) {
    return launch_is(launch, KW_LAUNCH_ROOTLESS)
               ? (u32)host(__NR_geteuid)
               : launch->record->host_uid_base + launch->record->uid;
}

u32 bare_gid(const struct launch *launch) {
    return launch_is(launch, KW_LAUNCH_ROOTLESS)
               ? (u32)host(__NR_getegid)
               : launch->record->host_gid_base + launch->record->gid;
}

static long open_path(const char *path) {
    return host(__NR_openat, AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
}

static bool has_root(const struct launch *instance) {
    return instance->record->mount_count > 0 && !instance->mounts[0].target[1];
}

static bool enter_root(struct entry *entry, int root) {
    long result = host(__NR_fchdir, root);
    if (result >= 0)
        result = host(__NR_chroot, ".");
    return result >= 0 || fail(&entry->failure, STATUS_OWN, result, "entering the instance's root");
}

/* Without following a link, where the caller checked that there is none: whoever owns a directory
 * on the way cannot lead it elsewhere in between. */
static long open_found(const struct launch_mount *mount) {
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC};
    if (mount->flags & KW_MOUNT_NO_LINKS)
        how.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    return host(__NR_openat2, AT_FDCWD, mount->source, &how, sizeof how);
}

/* The root directory is held, and made this process's own. */
static bool open_root(struct entry *entry, int *root) {
    const struct launch_mount *own = has_root(entry->instance) ? entry->instance->mounts : NULL;
    const char *path = own ? own->source : "/";
    *root = (int)(own ? open_found(own) : open_path(path));
    if (*root < 0)
        return fail(&entry->failure, STATUS_OWN, *root, "%s: there is no such root", path);
    return !has_root(entry->instance) || enter_root(entry, *root);
}

static bool make_scratch(struct entry *entry, struct keeping *keeping) {
    const char *scratch = launch_scratch(entry->instance);
    keeping->name = "";
    if (!scratch)
        return true;
    long parent = scratch_make(scratch, keeping->uid, keeping->gid, &keeping->name);
    keeping->scratch = (int)parent;
    return parent >= 0 ||
           fail(&entry->failure, STATUS_OWN, parent, "making the directory %s", scratch);
}

/* What those who join later will need. */
static bool hand_over(struct entry *entry, int root, int devices) {
    struct channel_report report = {
        .type = CHANNEL_JOIN, .shared = 1u << JOIN_PROC | 1u << JOIN_ROOT | 1u << JOIN_DEVPTS};
    const int fds[] = {entry->proc, root, devices};
    long result = channel_send(entry->channel, &report, sizeof report, fds, array_size(fds));
    return result >= 0 ||
           fail(&entry->failure, STATUS_OWN, result, "handing descriptors to the supervisor");
}

/* The terminal is one of the host's; the program's user may open it anew. */
static bool make_terminal(struct entry *entry, int devices) {
    if (!entry_make_terminal(entry, devices))
        return false;
    if (entry->terminal < 0 || launch_is(entry->launch, KW_LAUNCH_ROOTLESS))
        return true;
    long result = host(__NR_fchown, entry->terminal, bare_uid(entry->launch), -1);
    return result >= 0 || fail(&entry->failure, STATUS_OWN, result, "giving the terminal away");
}

/* The program's own death follows its keeper's. Set anew after each change of credentials. */
static bool follow_keeper(struct entry *entry, long keeper) {
    long result = host(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (result < 0)
        return fail(&entry->failure, STATUS_OWN, result, "following the keeper");
    if (host(__NR_getppid) != keeper)
        host(__NR_exit_group, STATUS_OWN);
    return true;
}

/* The end of supervise is the keeper's to hear of; the channel tells whether it came before. */
static bool follow_supervise(struct entry *entry) {
    struct pollfd channel = {.fd = entry->channel};
    long result = host(__NR_prctl, PR_SET_PDEATHSIG, KEEPER_END, 0, 0, 0);
    if (result < 0)
        return fail(&entry->failure, STATUS_OWN, result, "following the supervisor");
    host(__NR_poll, &channel, 1, 0);
    if (channel.revents & (POLLHUP | POLLERR))
        host(__NR_exit_group, STATUS_OWN);
    return true;
}

/* Returns in the child alone, which goes on to be the program. */
static bool split(struct entry *entry, struct keeping *keeping) {
    long own = host(__NR_getpid);
    if (!follow_supervise(entry))
        return false;
    keeping->supervise = (int)host(__NR_getppid);
    keeping->proc = entry->proc;
    long result = host(__NR_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    if (result >= 0)
        result = host(__NR_fork);
    if (result < 0)
        return fail(&entry->failure, STATUS_OWN, result, "making a process");
    if (result == 0)
        return follow_keeper(entry, own);
    keeping->program = (int)result;
    keeper_become(keeping, entry->self);
}

static long set_ids(const struct launch *launch) {
    const struct kw_launch *record = launch->record;
    u32 uid = bare_uid(launch), gid = bare_gid(launch), groups[KW_GROUPS_MAX];
    if (launch_is(launch, KW_LAUNCH_ROOTLESS))
        return 0;
    for (u32 i = 0; i < record->group_count; i++)
        groups[i] = record->host_gid_base + record->groups[i];
    long result = host(__NR_setgroups, record->group_count, groups);
    if (result >= 0)
        result = host(__NR_setresgid, gid, gid, gid);
    return result < 0 ? result : host(__NR_setresuid, uid, uid, uid);
}

/* From here on nothing can be gained any more: neither privileges nor a look into this process. */
static bool give_up_privileges(struct entry *entry) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    const struct __user_cap_data_struct none[2] = {{.effective = 0}};
    long result = set_ids(entry->launch);
    if (result == -EINVAL)
        return fail(&entry->failure, STATUS_OWN, 0,
                    "the id %u does not exist in this container: set host.uid_base to where there "
                    "are 65536",
                    bare_uid(entry->launch));
    if (result < 0)
        return fail(&entry->failure, STATUS_OWN, result, "becoming user %u of this host",
                    bare_uid(entry->launch));
    host(__NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    result = host(__NR_capset, &header, none);
    if (result >= 0)
        result = host(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (result >= 0)
        result = host(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
    host(__NR_umask, 022);
    return result >= 0 || fail(&entry->failure, STATUS_OWN, result, "giving up privileges");
}

/* As the program's user, who makes no directory that is missing. */
static bool go_to_workdir(struct entry *entry) {
    long result = host(__NR_chdir, entry->launch->workdir);
    return result >= 0 || fail(&entry->failure, STATUS_REFUSED, result, "the working directory %s",
                               entry->launch->workdir);
}

static bool mark(struct entry *entry) {
    const char *scratch = launch_scratch(entry->instance);
    long result = scratch ? marker_set(scratch) : 0;
    return result >= 0 || fail(&entry->failure, STATUS_OWN, result, "marking the program");
}

/* Its keeper's child, on the rest of the way. */
static bool become_program(struct entry *entry) {
    long keeper = host(__NR_getppid);
    return mark(entry) && entry_place(entry) && give_up_privileges(entry) &&
           follow_keeper(entry, keeper) && go_to_workdir(entry) && entry_take_stdio(entry) &&
           entry_start(entry);
}

static bool open_proc(struct entry *entry) {
    entry->proc = (int)open_path("/proc");
    return entry->proc >= 0 || fail(&entry->failure, STATUS_OWN, entry->proc, "opening /proc");
}

bool bare_enter(struct entry *entry) {
    struct keeping keeping = {.uid = bare_uid(entry->launch),
                              .gid = bare_gid(entry->launch),
                              .scratch = -1,
                              .lease = entry->launch->record->lease_fd};
    int root, devices = (int)open_path("/dev");
    return open_proc(entry) && make_terminal(entry, devices) && open_root(entry, &root) &&
           make_scratch(entry, &keeping) && hand_over(entry, root, devices) &&
           split(entry, &keeping) &&
           cgroup_join_counted(entry->instance->record, &entry->failure) && become_program(entry);
}

bool bare_join(struct entry *entry, int root, int devices) {
    struct keeping keeping = {.uid = bare_uid(entry->launch),
                              .gid = bare_gid(entry->launch),
                              .scratch = -1,
                              .lease = -1,
                              .name = ""};
    return make_terminal(entry, devices) &&
           (!has_root(entry->instance) || enter_root(entry, root)) && split(entry, &keeping) &&
           become_program(entry);
}
