#include "jail/entry.h"

#include <linux/close_range.h>
#include <linux/prctl.h>

#include "base/text.h"
#include "jail/channel.h"
#include "jail/filter.h"
#include "jail/idmap.h"
#include "jail/kernel.h"
#include "jail/landlock.h"
#include "jail/paths.h"
#include "jail/program.h"
#include "jail/terminal.h"

bool entry_become_root(struct entry *entry) {
    return identity_become_root(idmap_allows_groups(entry->launch), &entry->failure);
}

bool entry_make_terminal(struct entry *entry, int devpts) {
    struct channel_report report = {.type = CHANNEL_TERMINAL};
    int pair[2];
    entry->terminal = -1;
    if (!launch_is(entry->launch, KW_LAUNCH_TTY))
        return true;
    if (!terminal_make(entry->launch, devpts, pair, &entry->failure))
        return false;
    entry->terminal = pair[1];
    long result = channel_send(entry->channel, &report, sizeof report, pair, 2);
    host(__NR_close, pair[0]);
    return result >= 0 ||
           fail(&entry->failure, STATUS_OWN, result, "handing the terminal to the supervisor");
}

bool entry_go_to_workdir(struct entry *entry) {
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

bool entry_take_stdio(struct entry *entry) {
    host(__NR_setsid);
    if (entry->terminal >= 0 && !terminal_control(entry->terminal, &entry->failure))
        return false;
    for (int i = 0; i < 3; i++) {
        int from = entry->terminal >= 0 ? entry->terminal : entry->stdio[i];
        long result = host(__NR_dup3, from, i, 0);
        if (result < 0)
            return fail(&entry->failure, STATUS_OWN, result, "descriptor %d of the program", i);
    }
    return true;
}

void entry_own_pipes(const struct entry *entry) {
    const struct kw_launch *record = entry->launch->record;
    if (launch_is(entry->launch, KW_LAUNCH_ROOTLESS) && record->uid != 0)
        for (int i = 0; i < 3; i++)
            host(__NR_fchown, entry->stdio[i], record->uid, record->gid);
}

static bool place(struct entry *entry, enum own_fd which, int fd) {
    int number = (int)entry->limits.own_base + (int)which;
    long result = host(__NR_dup3, fd, number, 0);
    return result >= 0 ||
           fail(&entry->failure, STATUS_OWN, result, "placing descriptor %d", number);
}

bool entry_place_descriptors(struct entry *entry) {
    if (!identity_limit(entry->launch, &entry->limits, &entry->failure))
        return false;
    entry_own_pipes(entry);
    long result = host(__NR_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC);
    if (result < 0)
        return fail(&entry->failure, STATUS_OWN, result, "closing descriptors");
    if (entry->policy >= 0 &&
        (!place(entry, OWN_POLICY, entry->policy) || !place(entry, OWN_BELL, entry->bell)))
        return false;
    if (entry->learn >= 0 && !place(entry, OWN_LEARN, entry->learn))
        return false;
    return place(entry, OWN_SELF, entry->self) && place(entry, OWN_KVM, entry->kvm) &&
           place(entry, OWN_STATS, entry->stats) && place(entry, OWN_TABLE, entry->table) &&
           place(entry, OWN_PROC, entry->proc) && place(entry, OWN_STANDINS, entry->standins);
}

bool entry_give_up_privileges(struct entry *entry) {
    if (!identity_drop(entry->launch, idmap_allows_groups(entry->launch), &entry->failure))
        return false;
    long result = host(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (result >= 0)
        result = host(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (result < 0)
        return fail(&entry->failure, STATUS_OWN, result, "giving up privileges");
    host(__NR_umask, 022);
    return true;
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
    const struct kw_launch *launch = entry->launch->record;
    int program = program_open(entry->launch, record->exec_name, &entry->failure);
    if (program < 0)
        return false;
    record->magic = EXEC_MAGIC;
    record->size = sizeof *record;
    record->flags = EXEC_FIRST | entry->flags | (entry->policy >= 0 ? EXEC_POLICY : 0);
    record->started_ns = launch->started_ns;
    record->dumpable = 1;
    record->pids_limit = launch->pids_limit;
    record->memory_limit = launch->memory_limit;
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

bool entry_start_monitor(struct entry *entry) {
    const struct launch *launch = entry->launch;
    int self = (int)entry->limits.own_base + OWN_SELF;
    if (!write_record(entry) || !identity_finish_limits(&entry->limits, &entry->failure))
        return false;
    /* After everything that needs more than they allow, before the first byte of the program is
     * read by the monitor. */
    int base = (int)entry->limits.own_base;
    const struct grants_own own = {.procfs = base + OWN_PROC, .standins = base + OWN_STANDINS};
    long result = landlock_set(entry->ceiling, &own);
    if (result < 0)
        return fail(&entry->failure, STATUS_OWN, result, "setting the monitor's Landlock rules");
    result = filter_set(FILTER_MONITOR, (u32)self, ceiling_calls(entry->ceiling));
    if (result < 0)
        return fail(&entry->failure, STATUS_OWN, result, "setting the monitor's seccomp filter");
    result = host(__NR_execveat, self, own_path, launch->argv, launch->envp, AT_EMPTY_PATH);
    bool too_long = result == -E2BIG; /* the guest's own arguments, and its shell's status for it */
    return fail(&entry->failure, too_long ? STATUS_REFUSED : STATUS_OWN, result, "%s%.*s",
                too_long ? "" : "starting the monitor of ", 100, launch->argv[0]);
}

_Noreturn void entry_fail(struct entry *entry) {
    struct channel_report report = {.type = CHANNEL_FAILED, .failure = entry->failure};
    host(__NR_write, entry->channel, &report, sizeof report); /* which every filter lets pass */
    for (;;)
        host(__NR_exit_group, entry->failure.status);
}
