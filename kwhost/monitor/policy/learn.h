/* Noting what a program does, for a policy that permits just that (abi/kw_learn.h). Only where
 * there is an OWN_LEARN; there everything is judged, also what a policy has nothing to say about.
 */
#ifndef KW_POLICY_LEARN_H
#define KW_POLICY_LEARN_H

#include "abi/kw_learn.h"
#include "policy/policy.h"

/* NULL: nothing is noted. */
extern struct kw_learn *learn_memory;

static inline bool learning(void) {
    return unlikely(learn_memory != NULL);
}

/* Maps own_fd(OWN_LEARN), if there is one. Returns 0 or a negative errno. */
int learn_start(void);

/* Has everything looked at: sets all of `looks` and `call_looks` in a policy. */
void learn_index(struct kw_policy *policy);

/* What was permitted. Paths are as for policy_path; `call` of an address is the call's number. */
void learn_call(u64 nr, const u64 arg[6]);
void learn_path(const char *path, u32 access);
void learn_names(const char *old, const char *new, u32 access);
void learn_directory(const char *path);
void learn_made(u64 call, const char *path);
void learn_address(u64 call, enum kw_policy_direction direction,
                   const struct policy_address *address);

/* What was not; `text` is the path or address that the verdict is about, or "". */
void learn_refused(u64 nr, const u64 arg[6], struct kw_policy_verdict verdict, const char *text);

#endif
