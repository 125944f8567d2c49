#include "broker/ask.h"

#include <linux/futex.h>
#include <linux/time_types.h>

#include "base/clock.h"
#include "base/text.h"
#include "broker/status.h"
#include "calls/call.h"
#include "calls/stats.h"
#include "policy/questions.h"

#define GRACE_MS 5000 /* supervise is to be the one that ends a question */
#define MILLISECOND_NS 1000000ul
#define SECOND_NS 1000000000ul

static struct {
    struct kw_policy_question raised;
    u32 count; /* of the call's questions that were answered with yes */
    struct kw_policy_question allowed[QUESTION_ANSWERS_MAX];
} asking;

static bool make(const struct broker_request *request, struct kw_policy_verdict verdict,
                 const char *text, struct kw_policy_question *question) {
    const char *status = status_read(request);
    if (!status)
        return false;
    memset(question, 0, sizeof *question);
    question->rule = verdict.rule;
    question->call = (u32)request->nr;
    question->pid = (u32)status_inner_id(status, "NStgid");
    question->tid = (u32)status_inner_id(status, "NSpid");
    for (u32 i = 0; request->nr < CALL_LIMIT && i < array_size(question->arguments); i++)
        if (call_table[request->nr].arg[i].kind != ARG_NONE)
            question->arguments[i] = request->arg[i];
    return question_write_text(question, text);
}

bool ask_is_allowed(const struct broker_request *request, struct kw_policy_verdict verdict,
                    const char *text) {
    struct kw_policy_question question;
    if (!asking.count || !make(request, verdict, text, &question))
        return false;
    for (u32 i = 0; i < asking.count; i++)
        if (question_is_same(&asking.allowed[i], &question))
            return true;
    return false;
}

/* Without having been asked about. */
static long refuse(const struct broker_request *request, u32 rule, const char *text) {
    struct kw_policy_verdict refused = {.action = KW_POLICY_ERRNO, .error = EPERM, .rule = rule};
    return broker_permit(request, refused, text);
}

long ask_raise(const struct broker_request *request, struct kw_policy_verdict verdict,
               const char *text) {
    if (asking.count == QUESTION_ANSWERS_MAX || !make(request, verdict, text, &asking.raised))
        return refuse(request, verdict.rule, text);
    return -BROKER_ASKS;
}

/* Until the question has ended. Returns how, or a negative errno: -EINTR, -ETIMEDOUT. */
static long wait(int place) {
    const u32 *futex = question_futex(place);
    u64 end = monotonic_ns() + (question_timeout_ms() + GRACE_MS) * MILLISECOND_NS;
    struct __kernel_timespec until = {(s64)(end / SECOND_NS), (s64)(end % SECOND_NS)};
    enum kw_policy_ending ending;
    for (long result = 0;;) {
        u32 ended = __atomic_load_n(futex, __ATOMIC_ACQUIRE);
        if (question_has_ended(place, &asking.raised, ended, &ending))
            return ending;
        if (result == -EINTR || result == -ETIMEDOUT)
            return result;
        result =
            host(__NR_futex, futex, FUTEX_WAIT_BITSET, ended, &until, 0, FUTEX_BITSET_MATCH_ANY);
    }
}

long ask_settle(const struct broker_request *request) {
    struct kw_policy_question *question = &asking.raised;
    int place = question_put(question);
    if (place < 0)
        return refuse(request, question->rule, question->text);
    long result = wait(place);
    question_take_back(place, question);
    if (result < 0)
        policy_ring(); /* supervise does not know yet */
    if (result == -EINTR)
        return -BROKER_RESTARTS;
    if (result == -ETIMEDOUT)
        return refuse(request, question->rule, question->text);
    policy_count(question->rule, result != KW_POLICY_ALLOWED);
    if (result == KW_POLICY_ALLOWED) {
        asking.allowed[asking.count++] = *question;
        return 0;
    }
    stats_refused(request->nr);
    return -EPERM;
}

void ask_forget(void) {
    asking.count = 0;
}
