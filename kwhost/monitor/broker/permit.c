#include "broker/permit.h"

#include "broker/ask.h"
#include "broker/kill.h"
#include "broker/status.h"
#include "calls/stats.h"
#include "jail/program_rules.h"
#include "policy/learn.h"

static void tell(const struct broker_request *request, struct kw_policy_verdict verdict,
                 const char *text) {
    struct policy_caller caller = {.nr = request->nr, .arg = request->arg};
    const char *status = status_read(request);
    if (status) { /* none: it was killed meanwhile */
        caller.pid = status_inner_id(status, "NStgid");
        caller.tid = status_inner_id(status, "NSpid");
    }
    policy_tell(verdict, &caller, text);
}

long broker_permit(const struct broker_request *request, struct kw_policy_verdict verdict,
                   const char *text) {
    if (verdict.action == KW_POLICY_ALLOW)
        return 0;
    if (verdict.action == KW_POLICY_ASK && ask_is_allowed(request, verdict, text))
        return 0;
    if (learning() && verdict.action > KW_POLICY_LOG)
        learn_refused(request->nr, request->arg, verdict, text);
    if (verdict.action == KW_POLICY_ASK)
        return ask_raise(request, verdict, text);
    tell(request, verdict, text);
    if (verdict.action == KW_POLICY_LOG)
        return 0;
    stats_refused(request->nr);
    if (verdict.action == KW_POLICY_KILL)
        kill_caller(request);
    return verdict.error ? -(long)verdict.error : -EPERM;
}

/* Whatever the policy says, as the filter does with calls that it does not ask about. */
static long engine_refuses(const struct broker_request *request) {
    u32 error = program_refuses(request->nr, request->arg);
    if (error)
        stats_refused(request->nr);
    return -(long)error;
}

long permit_request(const struct broker_request *request) {
    u32 looks = policy_looks_at(request->nr);
    long refused = 0;
    if (looks & KW_POLICY_LOOKS_CALL)
        refused = broker_permit(request, judge_call(request->nr, request->arg), "");
    if (!refused && looks & KW_POLICY_LOOKS_RATE)
        refused = broker_permit(request, judge_rates(request->nr), "");
    return refused ? refused : engine_refuses(request);
}
