/* Copying argument lists out of guest memory for execve, within Linux's limits. */
#ifndef KW_PROCESS_EXEC_STRINGS_H
#define KW_PROCESS_EXEC_STRINGS_H

#include "base/types.h"

/* What argv, envp, their strings and the executed name may take together, for a soft RLIMIT_STACK.
 */
u64 exec_strings_limit(u64 stack_limit);

/* Room for copies; the memory is the caller's. Both areas have to hold `left` bytes. */
struct exec_strings {
    char **pointers; /* next free slot */
    char *text;      /* next free byte */
    u64 left;        /* of the limit: strings with their NULs, and 8 bytes for each pointer */
};

/* Copies the list at guest address `list` (0: an empty one) with all strings. Returns the copy's
 * first slot in *copy; it ends with NULL, which is not counted. 0, -EFAULT or -E2BIG. */
long exec_strings_copy(struct exec_strings *strings, u64 list, char ***copy);

#endif
