/* What path calls with handlers of their own need of the broker. */
#ifndef KW_CALLS_BROKER_H
#define KW_CALLS_BROKER_H

#include "base/types.h"

/* Newer than the headers of the oldest supported system. */
#define NR_FCHMODAT2 452

/* Whether a host result can mean that the path ended at the sealed /proc. */
bool broker_may_be_proc(long result);

#endif
