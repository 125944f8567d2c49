/* Moving into cgroups. */
#ifndef KW_JAIL_CGROUP_H
#define KW_JAIL_CGROUP_H

#include "abi/kw_abi.h"
#include "jail/errors.h"

/* Moves this process into each cgroup whose file cgroup.procs is among the descriptors. All at
 * once: what costs time is the first of a burst. */
bool cgroup_join(const int fds[KW_CGROUPS_MAX], struct failure *failure);

#endif
