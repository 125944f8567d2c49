/* What a new network and UTS namespace needs before it is of use. */
#ifndef KW_JAIL_NETWORK_H
#define KW_JAIL_NETWORK_H

#include "jail/errors.h"

/* Brings the loopback interface up, and lets every user of the instance bind ports below 1024, as
 * containers do. `proc` is a procfs of the instance. */
bool network_start(int proc, struct failure *failure);

/* Sets the host name. */
bool network_name(const char *name, struct failure *failure);

#endif
