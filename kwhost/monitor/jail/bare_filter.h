/* The seccomp filter of a program without namespaces (KW_LAUNCH_BARE), beside the one that every
 * program without a monitor has: jail/bare_filter.def. */
#ifndef KW_JAIL_BARE_FILTER_H
#define KW_JAIL_BARE_FILTER_H

#include <linux/filter.h>

#include "base/types.h"

#define BARE_FILTER_MAX 512u

/* Writes the filter; `shares_id`: of a program that has the id of others' processes. Returns how
 * many instructions it has. */
u32 bare_filter_make(bool shares_id, struct sock_filter code[BARE_FILTER_MAX]);

/* Sets it for this process and all that it makes. Returns 0 or a negative errno. Needs
 * no_new_privs. */
long bare_filter_set(bool shares_id);

#endif
