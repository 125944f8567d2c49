/* The Landlock rules of a program without a root of its own (KW_LAUNCH_BARE). */
#ifndef KW_JAIL_BARE_RULES_H
#define KW_JAIL_BARE_RULES_H

#include "jail/record.h"

/* From here on this process and all that it makes
 *
 * - open only what the instance's mounts name, a root of its own too: for reading and executing,
 *   devices also for writing;
 * - change files in its scratch directory alone;
 * - bind and connect no TCP port (version 4), control no device but those named (version 5);
 * - as an ordinary user's: signal nobody else, and reach no socket without a name in the file
 * system (version 6); others' programs have ids of their own.
 *
 * and use standard input, output and error, and so a terminal there, as they are. Returns 0, also
 * where the kernel has no Landlock, or a negative errno with the path that it is about in *path.
 * Needs no_new_privs. */
long bare_restrict(const struct launch *instance, const char **path);

#endif
