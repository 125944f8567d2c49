/* KW_POLICY_KILL. */
#ifndef KW_BROKER_KILL_H
#define KW_BROKER_KILL_H

#include "broker/request.h"

/* Ends the caller's process as by SIGSYS, which is what seccomp(2) does; one that would not die of
 * it, by SIGKILL. Nothing if the caller does not wait any more. */
void kill_caller(const struct broker_request *request);

#endif
