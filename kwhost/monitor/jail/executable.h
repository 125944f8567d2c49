/* The sealed copy of this executable that every process of an instance runs from. */
#ifndef KW_JAIL_EXECUTABLE_H
#define KW_JAIL_EXECUTABLE_H

#include "jail/errors.h"

/* Returns a memfd that nobody can change any more and that the instance cannot read (mode 0111),
 * closed on exec, or -1 with `failure` filled in. The host's own file is never within the
 * instance's reach. */
int executable_copy(struct failure *failure);

/* Executes such a copy as `kwhost-monitor supervise RECORD COPY`, with both descriptors. Returns on
 * failure alone. */
bool executable_run_copy(int record_fd, struct failure *failure);

#endif
