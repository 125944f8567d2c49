/* A writable directory over read-only layers. */
#ifndef KW_JAIL_OVERLAY_H
#define KW_JAIL_OVERLAY_H

#include "base/types.h"
#include "jail/errors.h"

struct overlay_plan {
    const int *layers; /* detached mounts of directories, uppermost first */
    u32 count;
    int upper; /* a detached mount of an empty directory for the changes; -1: they go to a tmpfs */
    const char *data; /* options of that tmpfs; NULL: none */
    u32 uid, gid;     /* owner of the root, as the caller names it */
    bool trusted; /* the caller is host root: notes go to trusted attributes, not to the user's */
};

/* Makes a detached overlay. Stacks things on "/" of the present
 * mount namespace for a moment, so it must be a private one. The working directory is "/"
 * afterwards. Returns its descriptor, or -1 with `failure` filled in. */
int overlay_make(const struct overlay_plan *plan, struct failure *failure);

/* The same for host root in the host's own mount namespace, which is left alone. For kernels before
 * 6.6, whose tmpfs has no user attributes: an overlay that cannot note what a new directory hides
 * refuses to rename directories and to make one where another was removed. */
int overlay_make_outside(const struct overlay_plan *plan, struct failure *failure);

/* True when a tmpfs keeps an overlay's notes for the instance's own root. */
bool overlay_works_inside(void);

#endif
