/* A writable directory over read-only layers. */
#ifndef KW_JAIL_OVERLAY_H
#define KW_JAIL_OVERLAY_H

#include "base/types.h"
#include "jail/errors.h"

/* Makes a detached overlay of `count` layers (detached mounts of directories, uppermost first), whose
 * changes go to a new tmpfs with the options `data` (NULL: none). Stacks things on "/" of the present
 * mount namespace for a moment, so it must be a private one. The working directory is "/" afterwards.
 * Returns its descriptor, or -1 with `failure` filled in. */
int overlay_make(const int *layers, u32 count, const char *data, struct failure *failure);

#endif
