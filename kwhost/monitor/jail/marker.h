/* What tells the processes of an instance without a pid namespace from all others, whatever becomes
 * of their parents: a limit that means nothing to them, that all they make inherits, and that their
 * filter lets nobody change (jail/bare_filter.def). For the case that both supervise and the keeper
 * are killed. */
#ifndef KW_JAIL_MARKER_H
#define KW_JAIL_MARKER_H

#include "base/types.h"

/* Marks this process and all that it makes as the instance's that writes in `scratch`. Returns 0 or
 * a negative errno. */
long marker_set(const char *scratch);

/* Ends all that is marked so: `proc` is a directory of a procfs. */
void marker_end_all(int proc, const char *scratch);

#endif
