/* Calls that somebody has to allow first (KW_POLICY_ASK), in a worker: as process/question.h, for
 * the one call that the worker makes. */
#ifndef KW_BROKER_ASK_H
#define KW_BROKER_ASK_H

#include "broker/request.h"

/* Whether the question that the verdict makes of the call has been answered with yes. */
bool ask_is_allowed(const struct broker_request *request, struct kw_policy_verdict verdict,
                    const char *text);

/* Makes it the one that ask_settle asks: returns -BROKER_ASKS, or -EPERM for one that cannot be
 * told in full, or that is one too many. */
long ask_raise(const struct broker_request *request, struct kw_policy_verdict verdict,
               const char *text);

/* Asks, and waits. 0: the call may be made again. Otherwise what it is refused with, or
 * -BROKER_RESTARTS when the worker was interrupted. */
long ask_settle(const struct broker_request *request);

/* Answers are for one call: its end. */
void ask_forget(void);

#endif
