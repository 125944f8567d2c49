/* The secrets of an instance: files of its user's in memory, which nothing changes. */
#ifndef KW_JAIL_SECRETS_H
#define KW_JAIL_SECRETS_H

#include "jail/record.h"

/* Makes a detached, read-only mount of them. `outside`: by host root, outside of the instance's
 * user namespace, where memory can be kept from the swap. Returns its descriptor; -1 on failure. */
int secrets_make(const struct launch *launch, bool outside, struct failure *failure);

/* Lets go of where they come from. */
void secrets_forget(const struct launch *launch);

#endif
