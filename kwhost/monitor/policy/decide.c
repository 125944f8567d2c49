#include "policy/policy.h"

_Static_assert((KW_POLICY_ARGUMENTS_MAX & (KW_POLICY_ARGUMENTS_MAX - 1)) == 0, "used as a mask");

static bool holds(const struct kw_policy_condition *condition, const u64 arg[6]) {
    u64 value = arg[condition->argument < 6 ? condition->argument : 5] & condition->mask;
    switch (condition->comparison) {
    case KW_POLICY_EQUAL:
        return value == condition->value;
    case KW_POLICY_LEAST:
        return value >= condition->value;
    default:
        return value <= condition->value;
    }
}

static bool all_hold(const struct kw_policy_arguments *rule, const u64 arg[6]) {
    u32 count = rule->count;
    for (u32 i = 0; i < count && i < KW_POLICY_CONDITIONS_MAX; i++)
        if (!holds(&rule->conditions[i], arg))
            return false;
    return true;
}

static struct kw_policy_verdict layer_call(const struct kw_policy *policy,
                                           const struct kw_policy_layer *layer, u64 nr,
                                           const u64 arg[6]) {
    if (nr >= KW_CALL_LIMIT)
        return layer->unknown;
    const struct kw_policy_call *call = &layer->calls[nr];
    u32 first = call->first, count = call->count;
    for (u32 i = 0; i < count && i < KW_POLICY_ARGUMENTS_MAX; i++) {
        const struct kw_policy_arguments *rule =
            &policy->arguments[(first + i) & (KW_POLICY_ARGUMENTS_MAX - 1)];
        if (all_hold(rule, arg))
            return rule->verdict;
    }
    return call->verdict;
}

struct kw_policy_verdict policy_call(const struct kw_policy *policy, u64 nr, const u64 arg[6]) {
    struct kw_policy_verdict verdict = {0};
    u32 layers = policy_layers(policy);
    for (u32 i = 0; i < layers; i++)
        verdict = stricter(verdict, layer_call(policy, &policy->layers[i], nr, arg));
    return verdict;
}
