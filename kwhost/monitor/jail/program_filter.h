/* The seccomp filter of a program that runs without a monitor: what it may call, what the broker
 * is asked about, and what is refused at once. */
#ifndef KW_JAIL_PROGRAM_FILTER_H
#define KW_JAIL_PROGRAM_FILTER_H

#include <linux/filter.h>

#include "abi/kw_policy.h"
#include "base/types.h"

#define PROGRAM_FILTER_MAX 4096u /* BPF_MAXINSNS */

struct program_filter {
    const struct kw_policy_table *table; /* NULL: no policy */
    const u64 *ceiling;                  /* a bit by call number; NULL: everything */
    bool learn;                          /* everything is told */
    int channel;                         /* a descriptor that the program itself can never have */
};

/* Writes the filter. Returns how many instructions it has. */
u32 program_filter_make(const struct program_filter *filter,
                        struct sock_filter code[PROGRAM_FILTER_MAX]);

/* Sets it for this process and all that it makes. Returns the listener's descriptor (closed on
 * exec), of which notifications are read, or a negative errno. Needs no_new_privs. */
long program_filter_set(const struct program_filter *filter);

#endif
