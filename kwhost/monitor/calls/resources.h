/* Limits that the monitor keeps for the guest. */
#ifndef KW_CALLS_RESOURCES_H
#define KW_CALLS_RESOURCES_H

#include "base/types.h"

/* Whether process->rlimits holds the guest's limit; of the others only the host knows. */
bool limit_is_kept(u32 resource);

#endif
