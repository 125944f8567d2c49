/* The way to a program where neither namespaces nor mounts can be had (KW_LAUNCH_BARE): what
 * remains are an id of its own where host root starts it, no capability, a keeper (jail/keeper.h),
 * Landlock rules and the seccomp filter. */
#ifndef KW_JAIL_BARE_H
#define KW_JAIL_BARE_H

#include "jail/entry.h"

/* Host ids of the program. */
u32 bare_uid(const struct launch *launch);
u32 bare_gid(const struct launch *launch);

/* The first program: returns on failure alone. */
bool bare_enter(struct entry *entry);

/* A further one, in a process that supervise knows; likewise. `root` and `devices` are what the
 * first one handed over. */
bool bare_join(struct entry *entry, int root, int devices);

#endif
