/* Calls that somebody has to allow first (KW_POLICY_ASK).
 *
 * Nothing is held while a call waits: no lock, no descriptor, no parked threads. What meets such a
 * verdict gives up as if it were refused, with CALL_ASKS; then the question is asked, and after a
 * yes the call is made again from its beginning. All is judged again, and the answer counts for
 * the same rule, arguments and text alone. So what is used is what was judged, and what was judged
 * is what was asked about. */
#ifndef KW_PROCESS_QUESTION_H
#define KW_PROCESS_QUESTION_H

#include "calls/call.h"
#include "policy/policy.h"

struct thread;

/* Whether the question that the verdict makes of the present call has been answered with yes.
 * Changes nothing. */
bool question_is_allowed(struct thread *thread, struct kw_policy_verdict verdict, const char *text);

/* Makes it the one that question_settle asks: returns -CALL_ASKS, or -EPERM for one that cannot be
 * told in full, or that is one too many. */
long question_raise(struct thread *thread, struct kw_policy_verdict verdict, const char *text);

/* After an attempt to make a call: when *result is -CALL_ASKS, asks and waits. True: the call is to
 * be made again. Otherwise *result is the call's: -EPERM, or a restart code when a signal came.
 */
bool question_ask(struct thread *thread, long *result);
static inline bool question_settle(struct thread *thread, long *result) {
    return unlikely(*result == -CALL_ASKS) && question_ask(thread, result);
}

/* At the end of a call with answers. They are for one call: they go unless it is made again. */
void question_forget(struct thread *thread, long result);

/* Of the answers, and the question that is raised. */
#define QUESTIONS_SIZE PAGE_SIZE

#endif
