#include "process/question.h"

#include <linux/futex.h>

#include "base/clock.h"
#include "base/text.h"
#include "calls/interruptible.h"
#include "calls/stats.h"
#include "policy/questions.h"
#include "process/permit.h"
#include "process/thread.h"

#define GRACE_MS 5000 /* supervise is to be the one that ends a question */
#define MILLISECOND_NS 1000000ul
#define SECOND_NS 1000000000ul

/* Behind thread->questions: the answers, then the question that is raised. */
_Static_assert((QUESTION_ANSWERS_MAX + 1) * sizeof(struct kw_policy_question) <= QUESTIONS_SIZE,
               "room");

static struct kw_policy_question *raised(struct thread *thread) {
    return &thread->questions[QUESTION_ANSWERS_MAX];
}

static bool make(struct thread *thread, struct kw_policy_verdict verdict, const char *text,
                 struct kw_policy_question *question) {
    u32 nr = (u32)thread->call_nr;
    memset(question, 0, sizeof *question);
    question->rule = verdict.rule;
    question->call = nr;
    question->pid = (u32)thread->process->pid;
    question->tid = (u32)thread->kernel_tid;
    for (u32 i = 0; nr < CALL_LIMIT && i < array_size(question->arguments); i++)
        if (call_table[nr].arg[i].kind != ARG_NONE)
            question->arguments[i] = thread->call_arg[i];
    return question_write_text(question, text);
}

bool question_is_allowed(struct thread *thread, struct kw_policy_verdict verdict,
                         const char *text) {
    struct kw_policy_question question;
    if (likely(!thread->answer_count) || !make(thread, verdict, text, &question))
        return false;
    for (u32 i = 0; i < thread->answer_count; i++)
        if (question_is_same(&thread->questions[i], &question))
            return true;
    return false;
}

/* Without having been asked about. */
static long refuse(struct thread *thread, u32 rule, const char *text) {
    struct kw_policy_verdict refused = {.action = KW_POLICY_ERRNO, .error = EPERM, .rule = rule};
    return permit(thread, refused, text);
}

long question_raise(struct thread *thread, struct kw_policy_verdict verdict, const char *text) {
    if (thread->answer_count == QUESTION_ANSWERS_MAX ||
        !make(thread, verdict, text, raised(thread)))
        return refuse(thread, verdict.rule, text);
    thread->asks = true;
    return -CALL_ASKS;
}

/* Until the question has ended. Returns how, or a negative errno: -ERESTARTSYS, -ETIMEDOUT. */
static long wait(struct thread *thread, int place) {
    const u32 *futex = question_futex(place);
    u64 end = monotonic_ns() + (question_timeout_ms() + GRACE_MS) * MILLISECOND_NS;
    struct __kernel_timespec until = {(s64)(end / SECOND_NS), (s64)(end % SECOND_NS)};
    enum kw_policy_ending ending;
    for (long result = 0;;) {
        u32 ended = __atomic_load_n(futex, __ATOMIC_ACQUIRE);
        if (question_has_ended(place, raised(thread), ended, &ending))
            return ending;
        if (thread->signal_pending)
            return -ERESTARTSYS;
        if (thread->work)
            thread_do_work(thread);
        if (result == -ETIMEDOUT)
            return result;
        const u64 arg[6] = {(u64)futex, FUTEX_WAIT_BITSET,     ended, (u64)&until,
                            0,          FUTEX_BITSET_MATCH_ANY};
        result = interruptible_call(&thread->signal_pending, &thread->work, __NR_futex, arg);
    }
}

static long ask(struct thread *thread) {
    struct kw_policy_question *question = raised(thread);
    if (thread->signal_pending) /* it comes first, as if it had arrived before the call */
        return -ERESTARTNOINTR;
    int place = question_put(question);
    if (place < 0)
        return refuse(thread, question->rule, question->text);
    long result = wait(thread, place);
    question_take_back(place, question);
    if (result < 0)
        policy_ring(); /* supervise does not know yet */
    if (result == -ETIMEDOUT)
        return refuse(thread, question->rule, question->text);
    if (result == -ERESTARTSYS)
        return result;
    policy_count(question->rule, result != KW_POLICY_ALLOWED);
    if (result == KW_POLICY_ALLOWED)
        return 0;
    stats_refused(question->call);
    return -EPERM;
}

bool question_ask(struct thread *thread, long *result) {
    if (!thread->asks) /* a value of the host's, such as F_GETOWN's of process group 600 */
        return false;
    thread->asks = false;
    *result = ask(thread);
    if (*result)
        return false;
    thread->questions[thread->answer_count++] = *raised(thread);
    return true;
}

void question_forget(struct thread *thread, long result) {
    if (!call_restarts(result))
        thread->answer_count = 0;
}
