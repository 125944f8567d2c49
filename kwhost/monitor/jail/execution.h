/* The policy's rules on what may be executed, where programs have no monitor: Landlock holds them.
 */
#ifndef KW_JAIL_EXECUTION_H
#define KW_JAIL_EXECUTION_H

#include "policy/policy.h"

/* From here on this process and all that it makes execute only what the policy permits at its path,
 * beneath the present root. Landlock goes by objects and knows no exceptions beneath a directory:
 * where rules speak of something beneath one, what lies in it is looked at one by one, as it is
 * now. So what is made there later cannot be executed, whatever the policy says; nor can what is
 * there behind a directory that this process may not list. Returns 0 or a negative errno:
 * -EOPNOTSUPP, the kernel has no Landlock and the policy refuses something; -E2BIG, too much would
 * have to be looked at. Needs no_new_privs. */
long execution_restrict(const struct kw_policy *policy);

/* Whether two policies permit the same to be executed, for certain: what runs keeps what it was
 * started with. */
bool execution_is_same(const struct kw_policy *one, const struct kw_policy *other);

#endif
