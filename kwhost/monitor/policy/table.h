/* The policy in force in this instance, and telling what it decided. */
#ifndef KW_POLICY_TABLE_H
#define KW_POLICY_TABLE_H

#include "policy/policy.h"

/* NULL: there is no policy, and there never will be one in this instance. */
extern const struct kw_policy_table *policy_table;
extern struct kw_policy_shared *policy_shared;

/* Once, at the start of each monitor of an instance with a policy: maps own_fd(OWN_POLICY) and the
 * shared part of own_fd(OWN_STATS). Returns 0, or a negative errno with *what failed. */
int policy_start(const char **what);

/* The policy in force now. What was read of it counts only if policy_holds afterwards. */
struct policy_glance {
    const struct kw_policy *policy;
    u64 generation;
};
static inline struct policy_glance policy_look(void) {
    u64 generation = __atomic_load_n(&policy_table->generation, __ATOMIC_ACQUIRE);
    const u8 *slots = (const u8 *)policy_table + KW_POLICY_SLOTS;
    return (struct policy_glance){
        (const struct kw_policy *)(slots + (generation & 1) * KW_POLICY_SLOT_SIZE), generation};
}
static inline bool policy_holds(struct policy_glance glance) {
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __atomic_load_n(&policy_table->generation, __ATOMIC_RELAXED) == glance.generation;
}

/* KW_POLICY_LOOKS_* of one call by its number, and of all of them; 0 without a policy. */
static inline u32 policy_looks_at(u64 nr) {
    if (likely(!policy_table))
        return 0;
    if (unlikely(nr >= KW_CALL_LIMIT))
        return KW_POLICY_LOOKS_CALL;
    return policy_look().policy->call_looks[nr];
}
static inline bool policy_looks_for(u32 what) {
    return unlikely(policy_table != NULL) && policy_look().policy->looks & what;
}

/* As the functions in policy/policy.h, by the policy in force. Paths are as the kernel tells them:
 * what may be the name of something that is gone is judged with and without those words. */
struct kw_policy_verdict judge_call(u64 nr, const u64 arg[6]);
struct kw_policy_verdict judge_rates(u64 nr);
struct kw_policy_verdict judge_path(const char *path, u32 access);
struct kw_policy_verdict judge_new_name(const char *old, const char *new, u32 access);
bool judge_speaks_beneath(const char *path);
struct kw_policy_verdict judge_network(enum kw_policy_direction direction,
                                       const struct policy_address *address);

/* Counts a verdict other than plain permission, and tells supervise. `text`: path or address, or
 * "". */
struct policy_caller {
    u64 nr;
    const u64 *arg;
    int pid, tid;
};
void policy_tell(struct kw_policy_verdict verdict, const struct policy_caller *caller,
                 const char *text);

/* Counts a verdict of which supervise knows. */
void policy_count(u32 rule, bool denied);

/* Wakes supervise: there is something for it in the shared memory. */
void policy_ring(void);

#endif
