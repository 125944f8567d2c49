/* The way of an instance's first process into its jail. */
#ifndef KW_JAIL_JAIL_H
#define KW_JAIL_JAIL_H

#include "jail/ceiling.h"
#include "jail/record.h"

/* What the child is born with; every descriptor is closed on exec. */
struct jail {
    const struct launch *launch;
    int channel;                         /* to supervise: its end says that the program runs */
    int self;                            /* the sealed executable */
    int policy, bell;                    /* of struct policies; -1: none */
    int learn;                           /* likewise */
    const struct program_filter *filter; /* of programs without monitors */
    const struct kw_ceiling *ceiling;    /* NULL: nothing is narrowed */
    int stdio[3];                        /* of the program, unless it gets a terminal */
};

/* Runs in the new process, already inside all of its new namespaces. Waits for the id maps, takes
 * every step in order, and becomes the program's first monitor; or reports what failed and exits.
 */
_Noreturn void jail_enter(const struct jail *jail);

#endif
