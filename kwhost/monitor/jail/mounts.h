/* Putting the instance's root file system together, in the child. */
#ifndef KW_JAIL_MOUNTS_H
#define KW_JAIL_MOUNTS_H

#include "jail/record.h"
#include "jail/sources.h"

struct root {
    int fd;      /* the root directory */
    int devpts;  /* the instance's devpts, -1: none */
    bool sealed; /* /proc cannot be searched */
};

/* Makes the root and all mounts in it (with KW_LAUNCH_PROCESS `proc`, a detached procfs, as /proc),
 * attached over "/" of the present (private) mount namespace
 * but not yet entered. Paths in the new root are never followed out of it. */
bool mounts_apply(const struct launch *launch, const struct sources *sources, int proc,
                  struct root *root, struct failure *failure);

/* Makes the new root the only one there is, and "/" the working directory. */
bool mounts_enter(const struct launch *launch, const struct root *root, struct failure *failure);

#endif
