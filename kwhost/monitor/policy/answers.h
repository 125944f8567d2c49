/* The other end of policy/questions.h, in supervise: takes questions out of places that hostile
 * monitors may write, whatever they like, and writes the answers. */
#ifndef KW_POLICY_ANSWERS_H
#define KW_POLICY_ANSWERS_H

#include "policy/policy.h"

/* A question as it was taken, by its place. */
struct open_question {
    u32 number; /* that it is told by; 0: none is open */
    u64 serial; /* of the last one seen here */
    u64 asked;  /* CLOCK_MONOTONIC ns */
    u64 until;
    struct kw_policy_question question;
};
struct answers {
    struct kw_policy_asked *asked;    /* the monitors' */
    struct kw_policy_answer *answers; /* supervise's own */
    u32 numbers;                      /* handed out */
    struct open_question open[KW_POLICY_QUESTIONS];
};

/* The thread that holds the place; 0: nobody. */
u32 answers_holder(const struct answers *answers, u32 place);

/* Takes the place from a thread that is gone. */
void answers_free(struct answers *answers, u32 place, u32 tid);

/* Whether the question that was taken from the place is no longer in it. */
bool answers_left(const struct answers *answers, u32 place);

/* Whether there is a question that was not taken; then takes it, copied and bounded. */
bool answers_waits(const struct answers *answers, u32 place);
bool answers_take(struct answers *answers, u32 place, u64 asked, u64 until);

/* Ends the open question. Returns the futex of those who wait for that. */
u32 *answers_end(struct answers *answers, u32 place, enum kw_policy_ending ending);

#endif
