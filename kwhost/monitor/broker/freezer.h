/* Whether the instance is being paused: frozen by its cgroup, in which the broker is not. A caller
 * whose call was handed over stands still only when it has left that call, and nothing in /proc
 * tells of it. */
#ifndef KW_BROKER_FREEZER_H
#define KW_BROKER_FREEZER_H

#include "abi/kw_abi.h"
#include "base/types.h"

/* Opens what tells so, of the instance's cgroups (files cgroup.procs). Returns its descriptor, or
 * -1 where there is none: such an instance is never paused. */
int freezer_open(const int cgroups[KW_CGROUPS_MAX]);

bool freezer_freezes(void);

/* What freezer_open found, for the broker and its workers. */
extern int freezer;

#endif
