/* Learning what programs execute, where Landlock is to permit just that: the broker makes no such
 * call, and nobody else sees what it leads to. */
#ifndef KW_BROKER_EXECUTED_H
#define KW_BROKER_EXECUTED_H

#include "broker/request.h"
#include "jail/record.h"

/* Whether the call executes something, and that is to be learnt. */
bool executed_is_learnt(const struct broker_request *request);

/* Notes the file, the interpreters of a script and the program interpreter, as far as they are
 * there. In a worker. A program that changes its arguments meanwhile has others noted, and its
 * policy will permit those. `begins`: what the call is the last step of, a launch on whose way
 * nobody may look into the caller; NULL: it is a program's own. */
void executed_learn(const struct broker_request *request, const struct launch *begins);

#endif
