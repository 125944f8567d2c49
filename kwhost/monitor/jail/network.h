/* What a new network and UTS namespace needs before it is of use. */
#ifndef KW_JAIL_NETWORK_H
#define KW_JAIL_NETWORK_H

#include "jail/errors.h"

/* From here on the caller's new processes and file systems belong to the network namespace behind
 * `fd`; *home leads back. With KW_NO_FD everything stays as it is, and *home is that too. */
bool network_visit(int fd, int *home, struct failure *failure);
bool network_return(int home, struct failure *failure);

/* Brings the loopback interface up, and lets every user of the instance bind ports below 1024, as
 * containers do. `proc` is a procfs of the instance. */
bool network_start(int proc, struct failure *failure);

/* Waits until supervise says that the network is driven. Ends this process where supervise is gone.
 */
bool network_wait(int channel, struct failure *failure);

/* Sets the host name. */
bool network_name(const char *name, struct failure *failure);

/* A new socket in the network namespace of the process behind `pidfd`, or a negative errno. A child
 * makes it, so that this process stays where it is. `with_user`: the caller is no host root, and
 * joins the user namespace too. Waits for the child, which waits for nothing. */
long network_socket(int pidfd, bool with_user, u32 family, u32 type);

#endif
