/* The other end of policy_tell, in supervise: takes events out of a ring that hostile monitors may
 * write, whatever they like. */
#ifndef KW_POLICY_DRAIN_H
#define KW_POLICY_DRAIN_H

#include "policy/policy.h"

struct drain {
    struct kw_policy_shared *shared;
    u64 taken;      /* events taken, or given up */
    u64 waited_for; /* 1 + an event that was not complete */
    u64 lost;       /* events given up; the user's to clear */
};

/* The next event, copied and bounded; false: there is none. */
bool drain_take(struct drain *drain, struct kw_policy_event *event);

#endif
