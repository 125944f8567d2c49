/* Doing what a policy's verdict says about the call that a thread is making. */
#ifndef KW_PROCESS_PERMIT_H
#define KW_PROCESS_PERMIT_H

#include "policy/table.h"

struct thread;

/* 0: the call may go on. Otherwise the negative errno that it is refused with, or -CALL_ASKS
 * (process/question.h); a verdict to kill ends the process. What is more than plain permission is
 * counted and told, with `text`, the path or address that the verdict is about, or "". */
long permit(struct thread *thread, struct kw_policy_verdict verdict, const char *text);

/* Judges the call by its number and the values of its arguments, and by how often it is made. */
long permit_call(struct thread *thread, u64 nr, const u64 arg[6]);

#endif
