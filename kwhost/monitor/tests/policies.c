#include "policies.h"

#include "base/text.h"

void policy_make(struct kw_policy *policy, u32 layers) {
    memset(policy, 0, sizeof *policy);
    policy->magic = KW_POLICY_MAGIC;
    policy->version = KW_POLICY_VERSION;
    policy->size = sizeof *policy;
    policy->layer_count = layers;
    for (u32 i = 0; i < layers; i++)
        policy->layers[i].other_access = POLICY_ALL;
}

void policy_add_arguments(struct kw_policy *policy, u32 layer, u32 nr,
                          struct kw_policy_verdict verdict,
                          const struct kw_policy_condition *conditions, u32 count) {
    struct kw_policy_call *call = &policy->layers[layer].calls[nr];
    struct kw_policy_arguments *rule = &policy->arguments[policy->argument_count];
    if (!call->count)
        call->first = policy->argument_count;
    call->count++;
    policy->argument_count++;
    rule->verdict = verdict;
    rule->count = count;
    memcpy(rule->conditions, conditions, count * sizeof *conditions);
}

/* The length of the beginning of whole components without a wildcard. */
static u32 literal_length(const char *pattern) {
    u32 length = 0;
    for (u32 i = 0; pattern[i] && pattern[i] != '*' && pattern[i] != '?' && pattern[i] != '\\'; i++)
        if (pattern[i + 1] == '/' || !pattern[i + 1])
            length = i + 1;
    return length;
}

void policy_add_path(struct kw_policy *policy, u32 layer, const char *pattern, u32 access,
                     struct kw_policy_verdict refused) {
    struct kw_policy_layer *of = &policy->layers[layer];
    u32 length = pattern[1] ? (u32)strlen(pattern) : 0;
    u32 literal = length ? literal_length(pattern) : 0;
    struct kw_policy_path rule = {.text = policy->text_size,
                                  .length = (u8)length,
                                  .literal = (u8)literal,
                                  .kind = KW_POLICY_GLOB,
                                  .access = (u8)access,
                                  .refused = refused};
    memcpy(policy->texts + policy->text_size, pattern, length);
    policy->text_size += length;
    rule.hash = policy_hash(POLICY_HASH_START, pattern, literal);
    if (literal == length)
        rule.kind = KW_POLICY_EXACT;
    else if (!strcmp(pattern + literal, "/**")) {
        rule.kind = KW_POLICY_SUBTREE;
        rule.length = (u8)literal;
    }
    if (!of->path_count)
        of->path_first = policy->path_count;
    u32 at = policy->path_count++;
    for (; at > of->path_first && policy->paths[at - 1].hash > rule.hash; at--)
        policy->paths[at] = policy->paths[at - 1];
    policy->paths[at] = rule;
    of->path_count++;
}

void policy_add_network(struct kw_policy *policy, u32 layer, struct kw_policy_network rule) {
    struct kw_policy_layer *of = &policy->layers[layer];
    if (!of->network_count)
        of->network_first = policy->network_count;
    policy->networks[policy->network_count++] = rule;
    of->network_count++;
}
