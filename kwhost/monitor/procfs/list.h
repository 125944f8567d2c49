/* Names in directories of the real procfs. */
#ifndef KW_PROCFS_LIST_H
#define KW_PROCFS_LIST_H

#include "procfs/place.h"

/* Adds the names that guests see in `place`, a line each, without "." and "..". Returns 0 or a
 * negative errno. */
long list_names(const struct place *place, struct text *text);

#endif
