/* Questions about calls, as a monitor asks them: it puts one into a place in the memory that all
 * monitors write, and waits for what supervise writes into the policy's table, where nobody else
 * does. A place that is another's, or is taken away by one that is hostile, gives no answer. */
#ifndef KW_POLICY_QUESTIONS_H
#define KW_POLICY_QUESTIONS_H

#include "policy/table.h"

#define QUESTION_ANSWERS_MAX 11 /* of one call; an execve may have one for each interpreter */

/* Fills in the text of a question: everybody is to see the same text where it is the same object,
 * and no other, so what could not be shown is written in hexadecimal. False when that is too long.
 */
bool question_write_text(struct kw_policy_question *question, const char *text);

/* Whether two are about the same, whenever they were asked. */
bool question_is_same(const struct kw_policy_question *one, const struct kw_policy_question *other);

/* Puts a question, whose serial number it sets, into a free place and wakes supervise. Returns the
 * place, or -1: all are taken. */
int question_put(struct kw_policy_question *question);

/* Frees the place. */
void question_take_back(int place, const struct kw_policy_question *question);

/* The word that changes when a question in the place ends, for FUTEX_WAIT. */
const u32 *question_futex(int place);

/* Whether this very question has ended, by what was read of that word. One that supervise took for
 * withdrawn has not: it will be seen again. */
bool question_has_ended(int place, const struct kw_policy_question *question, u32 ended,
                        enum kw_policy_ending *ending);

/* How long one may be open, in milliseconds, by the policy in force. */
u32 question_timeout_ms(void);

/* Frees the places of a process's threads, of which none lives: an execve has ended them. */
void questions_forget(u32 pid);

#endif
