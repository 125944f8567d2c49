#include "process/permit.h"

#include <asm/signal.h>

#include "base/host.h"
#include "calls/stats.h"
#include "policy/learn.h"
#include "process/question.h"
#include "process/thread.h"

long permit(struct thread *thread, struct kw_policy_verdict verdict, const char *text) {
    struct policy_caller caller = {.nr = (u32)thread->call_nr,
                                   .arg = thread->call_arg,
                                   .pid = thread->process->pid,
                                   .tid = thread->kernel_tid};
    if (verdict.action == KW_POLICY_ALLOW)
        return 0;
    if (verdict.action == KW_POLICY_ASK && question_is_allowed(thread, verdict, text))
        return 0;
    if (learning() && verdict.action > KW_POLICY_LOG)
        learn_refused(caller.nr, caller.arg, verdict, text);
    if (verdict.action == KW_POLICY_ASK)
        return question_raise(thread, verdict, text);
    policy_tell(verdict, &caller, text);
    if (verdict_refuses(verdict))
        stats_refused(caller.nr);
    switch (verdict.action) {
    case KW_POLICY_LOG:
        return 0;
    case KW_POLICY_KILL:
        process_die(thread, SIGSYS); /* as by seccomp(2) */
    default:
        return verdict.error ? -(long)verdict.error : -EPERM;
    }
}

long permit_call(struct thread *thread, u64 nr, const u64 arg[6]) {
    u32 looks = policy_looks_at(nr);
    long refused = 0;
    if (looks & KW_POLICY_LOOKS_CALL)
        refused = permit(thread, judge_call(nr, arg), "");
    if (!refused && looks & KW_POLICY_LOOKS_RATE)
        refused = permit(thread, judge_rates(nr), "");
    return refused;
}
