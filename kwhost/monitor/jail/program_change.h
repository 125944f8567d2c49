/* Whether a policy may take the place of the one that an instance of programs without monitors was
 * started with: their filters stay as they are, and what these let pass or refuse by themselves
 * nobody is asked about. */
#ifndef KW_JAIL_PROGRAM_CHANGE_H
#define KW_JAIL_PROGRAM_CHANGE_H

#include "jail/program_filter.h"

enum program_change {
    PROGRAM_CHANGE_GOOD,
    PROGRAM_CHANGE_CALL,    /* it is not plain permission any more for some calls that pass */
    PROGRAM_CHANGE_FILES,   /* it has rules on files, or other ones, that nobody would ask about */
    PROGRAM_CHANGE_NETWORK, /* likewise on addresses */
};

/* `filter` is what the filters were made from, `policy` one that passed the check. *call: of
 * PROGRAM_CHANGE_CALL the first such call's number, KW_CALL_LIMIT for those beyond. Where it cannot
 * be told for certain that the filters ask, they do not. */
enum program_change program_change(const struct program_filter *filter,
                                   const struct kw_policy *policy, u32 *call);

#endif
