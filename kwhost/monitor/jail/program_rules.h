/* What becomes of a call of a program without a monitor beside what its policy says: which ones the
 * engine refuses, and which ones the broker makes. From jail/program_filter.def, calls/table.def
 * and broker/performed.def. All is told by the call's number and registers alone. */
#ifndef KW_JAIL_PROGRAM_RULES_H
#define KW_JAIL_PROGRAM_RULES_H

#include "base/types.h"

/* Compares some bits of an argument. */
enum program_test { PROGRAM_ONE_OF, PROGRAM_NONE_OF, PROGRAM_LEAST, PROGRAM_MOST };
struct program_condition {
    u8 argument, test;
    u16 count; /* of values; 0: there is no condition, nor one behind it */
    u64 mask;
    const u64 *values;
};

/* One row about some calls of a number: those for which all conditions hold. */
#define PROGRAM_CONDITIONS 4
struct program_row {
    u16 call;
    u16 what; /* an errno, or PROGRAM_RULES_* */
    struct program_condition conditions[PROGRAM_CONDITIONS];
};

struct program_rows {
    const struct program_row *row; /* those of a call stand together */
    u32 count;
};
extern const struct program_rows program_refusals;
extern const struct program_rows program_performed;

/* The rules of a policy for whose sake the broker makes calls: on files, where these are its own to
 * keep, and on addresses. */
#define PROGRAM_RULES_FILES 1u
#define PROGRAM_RULES_NETWORK 2u
/* No rules of a policy: what Landlock does not look at, of a program without namespaces that has an
 * ordinary user's id, and so may change all of that user's files. */
#define PROGRAM_RULES_OBJECTS 4u
/* Rules on files that are Landlock's to keep: what it does not look at. */
#define PROGRAM_RULES_REST 8u

/* Whether it is made whatever the policy says. */
bool program_passes(u64 nr);

/* The errno that the engine refuses all calls of a number with; 0: not all. */
u32 program_refuses_all(u64 nr);

/* The errno that it refuses this one with, or 0. Whoever lets a call go on that a policy permits
 * asks first. */
u32 program_refuses(u64 nr, const u64 arg[6]);

/* Whether the broker has to make this call, for the sake of these kinds of rules
 * (PROGRAM_RULES_*). */
bool program_is_performed(u32 rules, u64 nr, const u64 arg[6]);

#endif
