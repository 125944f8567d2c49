/* The control data of a message to send (cmsg(3)). */
#ifndef KW_CALLS_CONTROL_DATA_H
#define KW_CALLS_CONTROL_DATA_H

#include "base/types.h"

/* Looks at a copy of control data for descriptors of the monitor: -EBADF when there is one, else 0,
 * also for malformed data, which the kernel refuses at the same place. */
long control_data_check(const u8 *control, u64 size);

#endif
