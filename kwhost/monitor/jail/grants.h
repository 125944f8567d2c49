/* Landlock rules from what the ceiling of the policies grants on files. */
#ifndef KW_JAIL_GRANTS_H
#define KW_JAIL_GRANTS_H

#include "jail/ceiling.h"

/* What monitors hold by descriptor, and use whatever is granted; -1: a program has none. */
struct grants_own {
    int procfs, standins;
};

/* From here on this process and all that it makes open files only where every layer of the ceiling
 * grants it, beneath the present root, and files of their own. One of the kernel's layers for each
 * of the ceiling's. Landlock knows no exceptions beneath a directory, and goes by objects, not by
 * names; so more is open than the policies permit, who still decide:
 *
 * - a rule that takes something away beneath a granted directory does not count here;
 * - a file that may be written is granted with its directory, where it may be made anew;
 * - for a path that does not exist, or leads through a symbolic link, the nearest directory above
 * it that does exist is granted: the program may make the rest;
 *
 * and in two cases less is:
 *
 * - a file that may be read alone is granted as it is now, not one that takes its place;
 * - a granted directory itself can be neither moved nor removed.
 *
 * `version` is Landlock's. Returns 0 or a negative errno. Needs no_new_privs. */
long grants_set(const struct kw_ceiling *ceiling, long version, const struct grants_own *own);

#endif
