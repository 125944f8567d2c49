/* The seccomp filters: which host calls a process of an instance may still make, whoever controls
 * it. Made from calls/table.def and jail/filter.def; docs/jail.md shows the result. */
#ifndef KW_JAIL_FILTER_H
#define KW_JAIL_FILTER_H

#include <linux/filter.h>

#include "base/types.h"

enum filter_role {
    FILTER_MONITOR,   /* every monitor of an instance, set by the first on its way into the jail */
    FILTER_INIT,      /* the reaper of --init */
    FILTER_SUPERVISE, /* supervise, once its instance was made */
    FILTER_HOSTED,    /* likewise of a hosted instance */
    FILTER_JOINER,    /* the joiner of one: programs that join inherit it */
    FILTER_BROKER,    /* the broker of an instance without monitors, and its workers */
    FILTER_KEEPER,    /* the keeper of a program without a pid namespace */
};

#define FILTER_REFUSED EPERM /* the errno of calls that are not allowed */
#define FILTER_LENGTH_MAX 2048u

/* Writes the role's filter; `own` is the number of the sealed executable's descriptor, `ceiling`
 * has a bit by call number for what the program may ever do (NULL: everything): calls that monitors
 * make only for the sake of others are not open. Returns how many instructions it has.
 *
 * Calls that no process of kwhost ever makes in that place, and calls by another architecture's
 * numbers, kill the process: whoever makes them is an attacker. Everything else that is not allowed
 * fails with FILTER_REFUSED, because it may as well be a mistake of ours in a rare place. */
u32 filter_make(enum filter_role role, u32 own, const u64 *ceiling,
                struct sock_filter code[FILTER_LENGTH_MAX]);

/* Sets the filter for this process and all that it makes and executes from here on; it can never be
 * taken off. Sets no_new_privs. Returns 0 or a negative errno. */
long filter_set(enum filter_role role, u32 own, const u64 *ceiling);

#endif
