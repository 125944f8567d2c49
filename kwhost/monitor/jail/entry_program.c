#include "jail/entry_program.h"

#include <asm/signal.h>
#include <linux/close_range.h>

#include "base/text.h"
#include "jail/bare_filter.h"
#include "jail/bare_rules.h"
#include "jail/carried.h"
#include "jail/channel.h"
#include "jail/clock.h"
#include "jail/execution.h"
#include "jail/kernel.h"
#include "jail/landlock.h"
#include "jail/program.h"
#include "jail/program_filter.h"
#include "jail/program_rules.h"

bool entry_place_channel(struct entry *entry) {
    if (!identity_limit_program(entry->launch, &entry->limits, &entry->failure) ||
        !identity_limit_tasks(entry->instance->record->pids_limit, &entry->failure))
        return false;
    entry_own_pipes(entry);
    long result = host(__NR_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC);
    int number = (int)entry->limits.own_base;
    if (result >= 0)
        result = host(__NR_dup3, entry->channel, number, O_CLOEXEC);
    if (result < 0)
        return fail(&entry->failure, STATUS_OWN, result, "placing descriptor %d", number);
    host(__NR_close, entry->channel); /* its end says that the program runs */
    entry->channel = number;
    return true;
}

/* The file where it would be found: /bin/sh, and not what it is a link to. */
static bool find_program(struct entry *entry) {
    int program = program_open(entry->launch, entry->record.exec_name, &entry->failure);
    if (program < 0)
        return false;
    host(__NR_close, program);
    return true;
}

/* As monitors do: when this process had nothing left to do but to begin. */
static void note_time(const struct entry *entry) {
    u64 now = clock_monotonic();
    host(__NR_pwrite64, entry->stats, &now, sizeof now, offsetof(struct kw_stats, launched_ns));
    host(__NR_pwrite64, entry->stats, &now, sizeof now, offsetof(struct kw_stats, first_run_ns));
}

static bool set_filter(struct entry *entry, bool carried) {
    struct program_filter filter = *entry->filter;
    filter.files = !carried;
    filter.ceiling = ceiling_calls(entry->ceiling);
    filter.channel = entry->channel;
    struct channel_report report = {.type = CHANNEL_LISTENER, .value = carried};
    long listener = program_filter_set(&filter);
    if (listener < 0)
        return fail(&entry->failure, STATUS_OWN, listener, "setting the program's seccomp filter");
    int fd = (int)listener;
    long result = channel_send(entry->channel, &report, sizeof report, &fd, 1);
    return result >= 0 || fail(&entry->failure, STATUS_OWN, result,
                               "handing the filter's listener to the supervisor");
}

/* What stands for the namespaces that there are not. */
static bool restrict_bare(struct entry *entry) {
    const char *path;
    long result = bare_restrict(entry->instance, &path);
    if (result < 0)
        return fail(&entry->failure, STATUS_OWN, result, "allowing %s by Landlock", path);
    result = bare_filter_set(launch_is(entry->launch, KW_LAUNCH_ROOTLESS));
    return result >= 0 || fail(&entry->failure, STATUS_OWN, result,
                               "setting the seccomp filter of a program without namespaces");
}

/* Who joins has the policy's first rules, too, and they may have changed unless Landlock holds
 * them.
 */
static bool may_be_carried(const struct entry *entry) {
    bool follows = !(entry->flags & EXEC_JOINED) || entry->flags & EXEC_CARRIED;
    return entry->filter->policy && !entry->filter->files && !entry->filter->learn &&
           !launch_is_bare(entry->launch) && follows;
}

/* Executing first: directories have to be read for it. */
static bool set_landlock(struct entry *entry, bool *carried) {
    const struct kw_policy *policy = entry->filter->policy;
    long result = policy ? execution_restrict(policy) : 0;
    if (result < 0)
        return fail(&entry->failure, STATUS_OWN, result,
                    "the policy's rules on what may be executed, which take Landlock and few "
                    "exceptions");
    result = may_be_carried(entry) ? carried_restrict(policy) : 0;
    *carried = result > 0;
    bool judged = program_filter_rules(entry->filter) & PROGRAM_RULES_NETWORK;
    if (result >= 0) /* the policy itself is within its ceiling */
        result = landlock_set_program(*carried ? NULL : entry->ceiling, judged);
    return result >= 0 ||
           fail(&entry->failure, STATUS_OWN, result, "setting the program's Landlock rules");
}

bool entry_start_program(struct entry *entry) {
    const struct launch *launch = entry->launch;
    const char *name = entry->record.exec_name;
    u64 none = 0;
    bool carried = false;
    if (!find_program(entry))
        return false;
    note_time(entry);
    if (launch_is_bare(entry->launch) && !restrict_bare(entry))
        return false;
    if (!set_landlock(entry, &carried) || !identity_finish_program(&entry->limits, &entry->failure))
        return false;
    host(__NR_rt_sigprocmask, SIG_SETMASK, &none, 0, sizeof none);
    if (!set_filter(entry, carried))
        return false;
    long result = host(__NR_execve, name, launch->argv, launch->envp);
    return fail(&entry->failure, result == -ENOENT ? STATUS_NOT_FOUND : STATUS_REFUSED, result,
                "%.*s: cannot be executed%s", 200, name,
                result == -EACCES && entry->filter->policy ? ", by its mode or by the policy" : "");
}
