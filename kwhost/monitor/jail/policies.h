/* The policy of an instance as supervise keeps it: the table that monitors read, and the events and
 * questions that they leave. */
#ifndef KW_JAIL_POLICIES_H
#define KW_JAIL_POLICIES_H

#include "abi/kw_policy.h"
#include "jail/errors.h"
#include "jail/program_filter.h"
#include "jail/questions.h"
#include "policy/drain.h"

struct supervisor;

struct policies {
    int table_fd, bell;            /* for the monitors; -1: there is no policy */
    int learn;                     /* likewise: memory of struct kw_learn; -1: none */
    struct kw_policy_table *table; /* NULL: likewise */
    struct drain drain;
    u64 window_end; /* CLOCK_MONOTONIC ns: from then on as many events may be told again */
    u32 told;       /* events in this window */
    struct questions questions;
    struct program_filter filter; /* what those of programs without monitors are made from */
    char refusal[128];            /* why the last policy was not put into force */
};

/* Makes table and bell of the launch record's policy, if there is one. */
bool policies_prepare(struct supervisor *supervisor);

/* Puts the policy in `fd` into force. Returns 0, or a negative errno with the reason in `why`. */
long policies_replace(struct policies *policies, int fd, const char **why);

/* The bell as long as events may be told, -1 otherwise. */
int policies_wants(const struct policies *policies);

/* How long a question may be open, in milliseconds. */
u32 policies_ask_ms(const struct policies *policies);

/* Tells the events and questions that are there, within limits. Returns when to come again even
 * without the bell, CLOCK_MONOTONIC ns; 0: never. */
u64 policies_tell(struct supervisor *supervisor, u64 now);

#endif
