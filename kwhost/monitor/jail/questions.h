/* The calls of an instance that wait for an answer, as supervise keeps them: it tells of each one,
 * takes one answer, and refuses what nobody answers in time. */
#ifndef KW_JAIL_QUESTIONS_H
#define KW_JAIL_QUESTIONS_H

#include "jail/control.h"
#include "policy/answers.h"

struct questions {
    bool possible; /* some policy was in force that asks */
    struct answers answers;
    u64 check_at; /* CLOCK_MONOTONIC ns: when to look whether the callers live; 0: there are none */
    u64 window_end; /* from then on as many questions may be told again */
    u32 told;       /* in this window */
};

/* Tells what is new, ends what is over. Returns when to come again even if no monitor rings its
 * bell, CLOCK_MONOTONIC ns; 0: never. */
u64 questions_tend(struct supervisor *supervisor, u64 now);

/* Tells the open ones once more, to somebody who came later. */
void questions_tell_again(struct supervisor *supervisor, struct connection *connection);

/* An answer from outside; nothing happens when the question is not open, or that is no answer. */
void questions_answer(struct supervisor *supervisor, u32 number, u32 answer);

#endif
