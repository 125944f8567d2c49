/* What the filter of a program without a monitor has to decide, said in another way: by the
 * policy's own evaluation, call by call. */
#ifndef KW_TESTS_PROGRAM_MODEL_H
#define KW_TESTS_PROGRAM_MODEL_H

#include "jail/program_filter.h"
#include "jail/program_rules.h"
#include "tests/bpf.h"

#define MODEL_EXECVE 59
#define MODEL_WRITE 1
#define MODEL_SENDMSG 46

/* Nothing is said but permission, by any layer, ceiling or rate. */
static inline bool model_is_plain(const struct program_filter *filter, u32 nr, const u64 arg[6]) {
    const struct kw_policy *policy = filter->policy;
    bool known = nr < KW_CALL_LIMIT;
    if (known && filter->ceiling && !(filter->ceiling[nr / 64] >> nr % 64 & 1))
        return false;
    for (u32 i = 0; known && policy && i < policy->rate_count; i++)
        if (policy->rates[i].calls[nr / 64] >> nr % 64 & 1)
            return false;
    return !policy || policy_call(policy, nr, arg).action == KW_POLICY_ALLOW;
}

static inline u32 model_verdict(const struct program_filter *filter, u32 nr, const u64 arg[6]) {
    u32 error = program_refuses(nr, arg);
    if (nr >= 0x40000000u && nr < 0x80000000u)
        return SECCOMP_RET_KILL_PROCESS;
    if (program_passes(nr))
        return SECCOMP_RET_ALLOW;
    if ((nr == MODEL_WRITE || nr == MODEL_SENDMSG) && filter->channel >= 0 &&
        (u32)arg[0] == (u32)filter->channel)
        return SECCOMP_RET_ALLOW;
    if (filter->learn || !model_is_plain(filter, nr, arg) ||
        (nr == MODEL_EXECVE && program_filter_asks_to_begin(filter)) ||
        program_is_performed(program_filter_rules(filter), nr, arg))
        return SECCOMP_RET_USER_NOTIF;
    return error ? SECCOMP_RET_ERRNO | error : SECCOMP_RET_ALLOW;
}

#endif
