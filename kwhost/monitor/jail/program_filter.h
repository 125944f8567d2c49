/* The seccomp filter of a program that runs without a monitor: what it may call, what the broker is
 * asked about, and what is refused at once. docs/jail.md tells what is decided where.
 *
 * All filters of an instance are made from the policy that it was started with, and a policy that
 * is put into force later has to agree with what they decide by themselves (jail/program_change.h).
 */
#ifndef KW_JAIL_PROGRAM_FILTER_H
#define KW_JAIL_PROGRAM_FILTER_H

#include <linux/filter.h>

#include "policy/policy.h"

#define PROGRAM_FILTER_MAX 4096u /* BPF_MAXINSNS */

struct program_filter {
    const struct kw_policy *policy; /* that the instance was started with; NULL: none */
    const u64 *ceiling;             /* a bit by call number; NULL: everything */
    bool files;                     /* rules on files are the broker's to keep, not Landlock's */
    bool objects;                   /* files are the user's, whom Landlock lets change them */
    bool learn;                     /* everything is told */
    int channel; /* a descriptor that the program itself can never have; -1: none */
};

static inline bool program_layer_has_files(const struct kw_policy_layer *layer) {
    return layer->path_count || layer->other_access != POLICY_ALL;
}

/* The kinds of rules for whose sake the broker makes calls (PROGRAM_RULES_* in program_rules.h). */
u32 program_filter_rules(const struct program_filter *filter);

/* Whether the broker is asked about the execve that begins the program, as about all of its own; if
 * not, it is asked about none. */
bool program_filter_asks_to_begin(const struct program_filter *filter);

/* Writes the filter. Returns how many instructions it has. */
u32 program_filter_make(const struct program_filter *filter,
                        struct sock_filter code[PROGRAM_FILTER_MAX]);

/* Sets it for this process and all that it makes. Returns the listener's descriptor (closed on
 * exec), of which notifications are read, or a negative errno. Needs no_new_privs. */
long program_filter_set(const struct program_filter *filter);

#endif
