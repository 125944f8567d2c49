/* The policy's rules on files, where programs have no monitor and Landlock can hold these rules by
 * itself: then nobody is asked when a file is opened, and nobody tells what was refused. */
#ifndef KW_JAIL_CARRIED_H
#define KW_JAIL_CARRIED_H

#include "jail/program_filter.h"

/* Whether the rules are of the kind that Landlock knows, in each layer: names and directories with
 * all beneath them, of which the inner ones grant no less reading and writing than what is around
 * them; refusals that are errors, and not questions or ends. */
bool carried_fits(const struct kw_policy *policy); /* carried.c */

/* Of rules that fit: whether this one grants other reading and writing than what is around it. */
bool carried_adds(const struct kw_policy *policy, const struct kw_policy_layer *layer,
                  const struct kw_policy_path *rule);

/* From here on this process and all that it makes read, write, make and remove only what the policy
 * permits beneath the present root; executing is jail/execution.h's. Landlock goes by objects: a
 * directory that a rule begins at cannot be removed or take another name, and refusals are EACCES.
 * What was passed as standard input, output and error stays as open as it is.
 *
 * For a policy that fits. Returns 1; 0, having done nothing, where it has to be the broker's: what
 * the rules are about is not there as they need it, or the kernel's Landlock knows too little; or a
 * negative errno. Needs no_new_privs. */
long carried_restrict(const struct kw_policy *policy); /* carried_rules.c */

#endif
