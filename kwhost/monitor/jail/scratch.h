/* The directory in which an instance without a root of its own writes (KW_LAUNCH_BARE). It goes
 * with the instance, whatever is in it. */
#ifndef KW_JAIL_SCRATCH_H
#define KW_JAIL_SCRATCH_H

#include "base/types.h"

/* Makes the directory `path`, which must not be there, for its owner alone. Returns a descriptor of
 * the directory above it and in *name its last name, or a negative errno. */
long scratch_make(const char *path, u32 uid, u32 gid, const char **name);

/* Becomes the user whom everything in it belongs to, for good. Returns 0 or a negative errno. */
long scratch_become_owner(u32 uid, u32 gid);

/* Removes it, once nobody is left who could change anything in it. What cannot be removed stays. */
void scratch_remove(int parent, const char *name);

#endif
