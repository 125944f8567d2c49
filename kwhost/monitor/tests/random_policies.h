/* Policies about the arguments of a few calls, of a few values, so that rules and calls meet. */
#ifndef KW_TESTS_RANDOM_POLICIES_H
#define KW_TESTS_RANDOM_POLICIES_H

#include "policy/policy.h"

#define RANDOM_CALLS 6
extern const u32 random_calls[RANDOM_CALLS];

u64 random_below(u64 end);
u64 random_value(void);
void make_random_policy(struct kw_policy *policy);

/* Changes a verdict, or takes rules away: the policy is still much like it was. */
void change_random_policy(struct kw_policy *policy);

#endif
