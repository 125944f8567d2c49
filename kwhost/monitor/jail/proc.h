/* /proc of an instance whose programs have no monitor: the kernel's own, of its pid namespace. */
#ifndef KW_JAIL_PROC_H
#define KW_JAIL_PROC_H

#include "jail/errors.h"

/* Hides what tells of the host or acts on it, below /proc of the new root: what container engines
 * hide and protect. */
bool proc_protect(int root, struct failure *failure);

/* No program makes user namespaces of its own, where the kernel lets this be said. `proc` is the
 * procfs, for a caller who is root of the instance. */
void proc_forbid_user_namespaces(int proc);

#endif
