/* Limits that the monitor keeps for the guest. */
#ifndef KW_CALLS_RESOURCES_H
#define KW_CALLS_RESOURCES_H

#include "base/types.h"

struct process;

/* The soft limit of a kept resource: RLIMIT_AS, DATA, STACK, MEMLOCK or NOFILE. */
u64 soft_limit(struct process *process, u32 resource);

#endif
