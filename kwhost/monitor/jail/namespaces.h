/* The instance's namespaces, handed to supervise by its first process. */
#ifndef KW_JAIL_NAMESPACES_H
#define KW_JAIL_NAMESPACES_H

#include "jail/errors.h"

/* User and network namespace, for whoever drives the network. `proc` is a procfs of the instance.
 */
bool namespaces_offer_network(int channel, int proc, struct failure *failure);

/* Those that a broker joins. By a process a user who is not root could join them only as long as it
 * may be looked into. */
bool namespaces_offer_broker(int channel, int proc, struct failure *failure);

#endif
