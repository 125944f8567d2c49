/* Deciding by a policy (abi/kw_policy.h). Pure but for rates: no allocation, no host call, and time
 * that is constant or logarithmic in the number of rules (the rules of one bucket aside).
 *
 * A policy that passed policy_check may still be written anew by supervise while it is read here
 * (policy/table.h notices afterwards): every index is bounded where it is used, so that the worst
 * is a wrong verdict that is not used. */
#ifndef KW_POLICY_POLICY_H
#define KW_POLICY_POLICY_H

#include "abi/kw_policy.h"
#include "base/types.h"

#define POLICY_ALL (KW_POLICY_READ | KW_POLICY_WRITE | KW_POLICY_EXECUTE)

static inline bool verdict_refuses(struct kw_policy_verdict verdict) {
    return verdict.action >= KW_POLICY_ERRNO;
}

/* Or has to be asked about first. */
static inline bool verdict_stops(struct kw_policy_verdict verdict) {
    return verdict.action >= KW_POLICY_ASK;
}

/* Of equally strict ones the first. */
static inline struct kw_policy_verdict stricter(struct kw_policy_verdict first,
                                                struct kw_policy_verdict second) {
    return second.action > first.action ? second : first;
}

static inline u32 policy_layers(const struct kw_policy *policy) {
    u32 count = __atomic_load_n(&policy->layer_count, __ATOMIC_RELAXED);
    return count < KW_POLICY_LAYERS_MAX ? count : KW_POLICY_LAYERS_MAX;
}

/* Whether the policy is one: NULL, or what is wrong with it; and of what stands before the layers
 * alone. validate.c. */
const char *policy_check(const struct kw_policy *policy);
const char *policy_check_header(const struct kw_policy *policy);

/* Whether a verdict of a policy that passed the check is KW_POLICY_ASK. validate.c. */
bool policy_asks(const struct kw_policy *policy);

/* Fills in `looks` and `call_looks` of a policy that passed the check. validate.c. */
void policy_index(struct kw_policy *policy);

/* The verdict on a call by its number and the values of its arguments. decide.c. */
struct kw_policy_verdict policy_call(const struct kw_policy *policy, u64 nr, const u64 arg[6]);

/* The verdict on an object by its path, absolute and as the kernel tells it, with the access that
 * is wanted (KW_POLICY_READ, ...). paths.c. */
struct kw_policy_verdict policy_path(const struct kw_policy *policy, const char *path, u32 access);

/* The verdict on giving the object `old` the name `new` as well, or instead: the new name must be
 * writable, and must not grant what the old one does not. `access` is wanted of the old one. */
struct kw_policy_verdict policy_new_name(const struct kw_policy *policy, const char *old,
                                         const char *new, u32 access);

/* Whether some rule makes a difference between a directory and what lies, or may lie, beneath. */
bool policy_speaks_beneath(const struct kw_policy *policy, const char *path);

/* The text of a rule of a policy that passed the check. */
static inline const char *policy_text(const struct kw_policy *policy,
                                      const struct kw_policy_path *rule) {
    return policy->texts + rule->text;
}

/* FNV-1a of so many bytes more. */
#define POLICY_HASH_START 0xcbf29ce484222325ul
static inline u64 policy_hash(u64 hash, const char *text, u64 length) {
    for (u64 i = 0; i < length; i++)
        hash = (hash ^ (u8)text[i]) * 0x100000001b3ul;
    return hash;
}

/* An address that a call names. */
struct policy_address {
    u8 bytes[16]; /* IPv4: ::ffff:a.b.c.d */
    u16 port;     /* of the host's byte order */
    u8 protocol;  /* of IP */
};

/* network.c. */
struct kw_policy_verdict policy_network(const struct kw_policy *policy,
                                        enum kw_policy_direction direction,
                                        const struct policy_address *address);

/* The verdict of the rates on one call more at this time, CLOCK_MONOTONIC in ns; it is counted in
 * `buckets`, which others may write too, whatever they like. rate.c. */
struct kw_policy_verdict policy_rates(const struct kw_policy *policy,
                                      u64 buckets[KW_POLICY_RATES_MAX], u64 nr, u64 now);

#endif
