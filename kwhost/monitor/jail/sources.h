/* What the instance's mounts are made of: detached copies of host mounts, opened before the old
 * root goes away, and the objects that only host root can make. */
#ifndef KW_JAIL_SOURCES_H
#define KW_JAIL_SOURCES_H

#include "jail/record.h"

#define SOURCE_LIMIT 250u /* one packet carries at most 253 descriptors */

/* In the order of the mounts: one for each bind, each /proc and each /sys, one for the secrets, one
 * for each layer of an overlay. */
struct sources {
    u32 count;
    int fds[SOURCE_LIMIT]; /* -1: the optional source does not exist, or cannot be made */
    bool overlays_made;    /* an overlay is one source, whole, instead of its layers */
    const char *unmapped;  /* something writable whose owners could not be mapped; NULL: none */
};

/* Opens all sources. `ids` is the instance's user namespace when the caller is host root, -1 when
 * it is the rootless child, for which no source can be mapped and nothing sealed. On failure the
 * caller's process ends soon, so what was opened stays open. */
bool sources_open(const struct launch *launch, int ids, struct sources *sources,
                  struct failure *failure);

/* The length of the first path in a list joined by ':'. */
size_t layer_length(const char *list);

#endif
