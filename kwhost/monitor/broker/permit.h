/* Doing what a policy's verdict says about a call, beside broker_permit. */
#ifndef KW_BROKER_PERMIT_H
#define KW_BROKER_PERMIT_H

#include "broker/request.h"

/* Judges the call by its number and the values of its arguments, by how often it is made, and by
 * what the engine refuses. Returns as broker_permit does. */
long permit_request(const struct broker_request *request);

#endif
