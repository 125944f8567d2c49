/* What the seccomp filters let through: jail/filter.def and calls/table.def as tables. */
#ifndef KW_JAIL_FILTER_RULES_H
#define KW_JAIL_FILTER_RULES_H

#include "calls/call.h"
#include "jail/filter.h"

/* Values that are known when a filter is made only: none of them fits an argument's half. */
#define OWN (1ul << 32)      /* the sealed executable's descriptor */
#define OWN_PATH (2ul << 32) /* the address of own_path */

enum limit_when { WHEN_ALWAYS, WHEN_IF, WHEN_UNLESS };
enum limit_test { TEST_ONE_OF, TEST_NONE_OF, TEST_NO_BITS, TEST_BELOW };

/* A condition on a call's arguments: `test` of the word at `word` against the values, required
 * always or depending on another word. */
struct limit {
    u8 role;
    u16 call;
    u8 when, guard_word;
    u8 word, test;
    u16 count;
    u64 guard;
    const u64 *values;
};
extern const struct limit filter_limits[];
extern const u32 filter_limit_count;

enum filter_action { ACTION_REFUSE, ACTION_KILL, ACTION_ALLOW, ACTION_LIMIT };

/* What becomes of each call; ACTION_LIMIT: what the limits on it say. */
void filter_decide(enum filter_role role, const u64 *ceiling, u8 action[CALL_LIMIT]);

#endif
