/* Moving into cgroups. */
#ifndef KW_JAIL_CGROUP_H
#define KW_JAIL_CGROUP_H

#include "abi/kw_abi.h"
#include "jail/errors.h"

/* Moves this process into each cgroup whose file cgroup.procs is among the descriptors. All at
 * once: what costs time is the first of a burst. */
bool cgroup_join(const int fds[KW_CGROUPS_MAX], struct failure *failure);

/* Moves a process that helps into the instance's, but for the one that counts the instance's own
 * processes alone. */
bool cgroup_join_helping(const struct kw_launch *instance, struct failure *failure);

/* Moves a process of the instance's own, on its way in, into that one. */
bool cgroup_join_counted(const struct kw_launch *instance, struct failure *failure);

#endif
