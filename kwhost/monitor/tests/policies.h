/* Policies made by hand, for hosted tests. */
#ifndef KW_TESTS_POLICIES_H
#define KW_TESTS_POLICIES_H

#include "policy/policy.h"

#define ALLOWED ((struct kw_policy_verdict){0})
#define LOGGED(id) ((struct kw_policy_verdict){.action = KW_POLICY_LOG, .rule = (id)})
#define FAILS(number, id)                                                                          \
    ((struct kw_policy_verdict){.action = KW_POLICY_ERRNO, .error = (number), .rule = (id)})
#define KILLS(id) ((struct kw_policy_verdict){.action = KW_POLICY_KILL, .rule = (id)})

/* One that allows everything in so many layers. */
void policy_make(struct kw_policy *policy, u32 layers);

/* Adds rules to a layer; the rules of a layer come together. Argument rules and addresses come in
 * their order of precedence; path rules are sorted here, those of one literal stay in order.
 * Addresses are 16 bytes, prefixes count from the first. */
void policy_add_arguments(struct kw_policy *policy, u32 layer, u32 nr,
                          struct kw_policy_verdict verdict,
                          const struct kw_policy_condition *conditions, u32 count);
void policy_add_path(struct kw_policy *policy, u32 layer, const char *pattern, u32 access,
                     struct kw_policy_verdict refused);
void policy_add_network(struct kw_policy *policy, u32 layer, struct kw_policy_network rule);

#endif
