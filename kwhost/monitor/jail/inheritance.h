/* What supervise leaves of what its caller handed down. */
#ifndef KW_JAIL_INHERITANCE_H
#define KW_JAIL_INHERITANCE_H

#include "jail/record.h"

/* Default dispositions, whatever the caller had; a closed pipe, or a file that may not grow, is an
 * error and not an end. */
void inheritance_reset_signals(void);

/* Descriptors 0 to 2 are open from here on, so that nothing else gets their numbers. */
void inheritance_fill_stdio(void);

/* Takes back that all memory may be merged with others' equal pages (KSM), which a caller can ask
 * for and processes inherit: the time of a write would tell tenants of each other's memory. */
void inheritance_separate_pages(void);

/* Keeps standard input, output and error, the descriptors that the record names, and no other. */
void inheritance_close_others(const struct launch *launch, int self);

#endif
