/* Which descriptors a process goes on with. */
#ifndef KW_JAIL_DESCRIPTORS_H
#define KW_JAIL_DESCRIPTORS_H

#include "base/types.h"

/* Closes all descriptors but 0 to 2 and those listed (in any order, which changes; -1: none), and
 * has these closed on exec. */
void descriptors_keep(int *fds, u32 count);

#endif
