/* The user and group ids of an instance, written into its user namespace from outside. */
#ifndef KW_JAIL_IDMAP_H
#define KW_JAIL_IDMAP_H

#include "jail/record.h"

/* Writes the maps of the process `pid`, the first in its user namespace. As host root: ids 0 to
 * id_count-1 become the record's range. Rootless: id 0 is the caller, and ids from 1 on are the
 * record's range by the help of newuidmap and newgidmap. */
bool idmap_write(const struct launch *launch, int pid, struct failure *failure);

/* False when the namespace's processes may not change their supplementary groups. */
static inline bool idmap_allows_groups(const struct launch *launch) {
    return !launch_is(launch, KW_LAUNCH_ROOTLESS) || launch->record->id_count > 1;
}

#endif
