/* Learning what programs execute, where Landlock is to permit just that: the broker makes no such
 * call, and nobody else sees what it leads to. */
#ifndef KW_BROKER_EXECUTED_H
#define KW_BROKER_EXECUTED_H

#include "broker/request.h"
#include "jail/record.h"

bool executed_is(const struct broker_request *request);

/* Notes the file, the interpreters of a script and the program interpreter, as far as they are
 * there. In a worker. A program that changes its arguments meanwhile has others noted, and its
 * policy will permit those. */
void executed_learn(const struct broker_request *request);

/* Likewise of the program that an instance begins with: the process on its way there is nobody's to
 * look into. */
void executed_learn_first(const struct broker_request *request, const struct launch *launch);

#endif
