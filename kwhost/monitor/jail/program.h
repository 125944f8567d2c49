/* Finding the program's file as execvp(3) does, in the instance's root and as the instance's user.
 */
#ifndef KW_JAIL_PROGRAM_H
#define KW_JAIL_PROGRAM_H

#include <linux/limits.h>

#include "jail/record.h"

/* Returns a descriptor of the file opened for reading, with the path it was found at in `name`
 * [PATH_MAX], or -1 with status 126 or 127 in `failure`. */
int program_open(const struct launch *launch, char *name, struct failure *failure);

#endif
