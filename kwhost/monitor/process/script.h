/* The first line of a #! script, and how it changes the arguments. Pure functions. */
#ifndef KW_PROCESS_SCRIPT_H
#define KW_PROCESS_SCRIPT_H

#include "base/types.h"

#define SCRIPT_HEAD 256    /* bytes of the file that Linux looks at */
#define SCRIPT_DEPTH_MAX 5 /* scripts run by scripts; one more is ELOOP */

/* A parsed first line. The strings lie in `text`, which is the line changed in place. */
struct script_line {
    char text[SCRIPT_HEAD];
    char *interpreter;
    char *argument; /* all that follows the interpreter, or NULL */
};

bool is_script(const void *head, u64 size);

/* Parses the first SCRIPT_HEAD bytes of a script. Returns 0, or -ENOEXEC when no interpreter is
 * named or its name was cut off. */
int script_parse(struct script_line *line, const void *head, u64 size);

/* Replaces argv[0] by interpreter, argument and script path. There must be two free slots before
 * argv; returns the new argv. */
char **script_arguments(char **argv, const struct script_line *line, char *script_path);

#endif
