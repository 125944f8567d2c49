/* Checking a policy before it is used. */
#include "base/text.h"
#include "policy/policy.h"

#define ERROR_MOST 511 /* above are the codes by which the kernel restarts calls */
#define INTERVAL_MOST 1000000000000000ul
#define BURST_MOST 65535u

static bool good_verdict(struct kw_policy_verdict verdict) {
    bool fails = verdict.action == KW_POLICY_ERRNO;
    return verdict.action <= KW_POLICY_KILL && verdict.padding == 0 &&
           verdict.rule < KW_POLICY_RULES_MAX &&
           (fails ? verdict.error >= 1 && verdict.error <= ERROR_MOST : verdict.error == 0);
}

static bool good_range(u32 first, u32 count, u32 limit) {
    return first <= limit && count <= limit - first;
}

const char *policy_check_header(const struct kw_policy *policy) {
    if (policy->magic != KW_POLICY_MAGIC || policy->version != KW_POLICY_VERSION ||
        policy->size != sizeof *policy)
        return "it is none, or of another version";
    if (policy->layer_count > KW_POLICY_LAYERS_MAX ||
        policy->argument_count > KW_POLICY_ARGUMENTS_MAX ||
        policy->path_count > KW_POLICY_PATHS_MAX ||
        policy->network_count > KW_POLICY_NETWORKS_MAX ||
        policy->rate_count > KW_POLICY_RATES_MAX || policy->text_size > KW_POLICY_TEXTS_MAX)
        return "there is too much of something";
    if (policy->ask_timeout_ms > KW_POLICY_ASK_MS_MAX)
        return "how long an answer is waited for";
    for (u32 i = 0; i < array_size(policy->reserved); i++)
        if (policy->reserved[i])
            return "unknown fields";
    return NULL;
}

static bool good_arguments(const struct kw_policy_arguments *rule) {
    if (!good_verdict(rule->verdict) || rule->count < 1 || rule->count > KW_POLICY_CONDITIONS_MAX)
        return false;
    for (u32 i = 0; i < rule->count; i++)
        if (rule->conditions[i].argument > 5 || rule->conditions[i].comparison > KW_POLICY_MOST)
            return false;
    return true;
}

/* Two asterisks are a whole component, and no backslash comes last. */
static bool good_glob(const char *pattern, u32 length) {
    if (length == 0 || pattern[0] != '/')
        return false;
    for (u32 i = 0; i < length; i++) {
        if (pattern[i] == 0)
            return false;
        if (pattern[i] == '\\' && ++i == length)
            return false;
        if (pattern[i] == '*' && i + 1 < length && pattern[i + 1] == '*') {
            if (pattern[i - 1] != '/' || (i + 2 < length && pattern[i + 2] != '/'))
                return false;
            i++;
        }
    }
    return true;
}

static bool good_literal(const char *text, u32 length) {
    return length == 0 || (text[0] == '/' && text[length - 1] != '/' && !memchr(text, 0, length));
}

static bool good_path(const struct kw_policy *policy, const struct kw_policy_path *rule) {
    if (!good_range(rule->text, rule->length, policy->text_size) || rule->literal > rule->length ||
        rule->access > POLICY_ALL || !good_verdict(rule->refused))
        return false;
    const char *text = policy->texts + rule->text;
    if (!good_literal(text, rule->literal) ||
        rule->hash != policy_hash(POLICY_HASH_START, text, rule->literal))
        return false;
    if (rule->kind == KW_POLICY_GLOB)
        return good_glob(text + rule->literal, rule->length - rule->literal);
    return rule->kind <= KW_POLICY_SUBTREE && rule->literal == rule->length;
}

static bool good_network(const struct kw_policy_network *rule) {
    if (rule->prefix > 128 || rule->direction > KW_POLICY_LISTEN || rule->padding ||
        rule->port_first > rule->port_last || !good_verdict(rule->verdict))
        return false;
    for (u32 bit = rule->prefix; bit < 128; bit++)
        if (rule->address[bit / 8] & (0x80 >> bit % 8))
            return false;
    return true;
}

/* Below 0: the first comes before the second. */
static int compare_networks(const struct kw_policy_network *first,
                            const struct kw_policy_network *second) {
    if (first->direction != second->direction)
        return first->direction - second->direction;
    if (first->prefix != second->prefix)
        return second->prefix - first->prefix;
    return memcmp(first->address, second->address, sizeof first->address);
}

static const char *check_calls(const struct kw_policy *policy,
                               const struct kw_policy_layer *layer) {
    if (!good_verdict(layer->unknown))
        return "a verdict";
    for (u32 nr = 0; nr < KW_CALL_LIMIT; nr++) {
        const struct kw_policy_call *call = &layer->calls[nr];
        if (!good_verdict(call->verdict))
            return "a call's verdict";
        if (!good_range(call->first, call->count, policy->argument_count))
            return "a call's argument rules";
    }
    return NULL;
}

static const char *check_layer(const struct kw_policy *policy,
                               const struct kw_policy_layer *layer) {
    if (!good_verdict(layer->other_path) || !good_verdict(layer->other_address) ||
        !good_verdict(layer->other_listen) || layer->other_access > POLICY_ALL || layer->padding)
        return "a layer's verdicts";
    if (!good_range(layer->path_first, layer->path_count, policy->path_count) ||
        !good_range(layer->network_first, layer->network_count, policy->network_count))
        return "a layer's rules";
    const struct kw_policy_path *paths = policy->paths + layer->path_first;
    for (u32 i = 1; i < layer->path_count; i++)
        if (paths[i - 1].hash > paths[i].hash)
            return "the order of path rules";
    const struct kw_policy_network *networks = policy->networks + layer->network_first;
    for (u32 i = 1; i < layer->network_count; i++)
        if (compare_networks(&networks[i - 1], &networks[i]) > 0)
            return "the order of network rules";
    return check_calls(policy, layer);
}

static bool good_rate(const struct kw_policy_rate *rate) {
    return good_verdict(rate->verdict) && rate->interval_ns >= 1 &&
           rate->interval_ns <= INTERVAL_MOST && rate->burst >= 1 && rate->burst <= BURST_MOST &&
           rate->padding == 0;
}

const char *policy_check(const struct kw_policy *policy) {
    const char *problem = policy_check_header(policy);
    if (problem)
        return problem;
    for (u32 i = 0; i < policy->argument_count; i++)
        if (!good_arguments(&policy->arguments[i]))
            return "an argument rule";
    for (u32 i = 0; i < policy->path_count; i++)
        if (!good_path(policy, &policy->paths[i]))
            return "a path rule";
    for (u32 i = 0; i < policy->network_count; i++)
        if (!good_network(&policy->networks[i]))
            return "a network rule";
    for (u32 i = 0; i < policy->rate_count; i++)
        if (!good_rate(&policy->rates[i]))
            return "a rate";
    for (u32 i = 0; i < policy->layer_count && !problem; i++)
        problem = check_layer(policy, &policy->layers[i]);
    return problem;
}

static bool layer_asks(const struct kw_policy_layer *layer) {
    bool asks =
        layer->unknown.action == KW_POLICY_ASK || layer->other_path.action == KW_POLICY_ASK ||
        layer->other_address.action == KW_POLICY_ASK || layer->other_listen.action == KW_POLICY_ASK;
    for (u32 nr = 0; nr < KW_CALL_LIMIT; nr++)
        asks |= layer->calls[nr].verdict.action == KW_POLICY_ASK;
    return asks;
}

bool policy_asks(const struct kw_policy *policy) {
    bool asks = false;
    for (u32 i = 0; i < policy->layer_count; i++)
        asks |= layer_asks(&policy->layers[i]);
    for (u32 i = 0; i < policy->argument_count; i++)
        asks |= policy->arguments[i].verdict.action == KW_POLICY_ASK;
    for (u32 i = 0; i < policy->path_count; i++)
        asks |= policy->paths[i].refused.action == KW_POLICY_ASK;
    for (u32 i = 0; i < policy->network_count; i++)
        asks |= policy->networks[i].verdict.action == KW_POLICY_ASK;
    for (u32 i = 0; i < policy->rate_count; i++)
        asks |= policy->rates[i].verdict.action == KW_POLICY_ASK;
    return asks;
}

static u8 call_looks(const struct kw_policy *policy, u32 nr) {
    u8 looks = 0;
    for (u32 i = 0; i < policy->layer_count; i++) {
        const struct kw_policy_call *call = &policy->layers[i].calls[nr];
        if (call->count || call->verdict.action != KW_POLICY_ALLOW)
            looks |= KW_POLICY_LOOKS_CALL;
    }
    for (u32 i = 0; i < policy->rate_count; i++)
        if (policy->rates[i].calls[nr / 64] >> nr % 64 & 1)
            looks |= KW_POLICY_LOOKS_RATE;
    return looks;
}

/* Of all calls together. */
static u32 all_looks(const struct kw_policy *policy) {
    u32 looks = 0;
    for (u32 i = 0; i < policy->layer_count; i++) {
        const struct kw_policy_layer *layer = &policy->layers[i];
        if (layer->path_count || layer->other_access != POLICY_ALL)
            looks |= KW_POLICY_LOOKS_PATH;
        if (layer->network_count || layer->other_address.action || layer->other_listen.action)
            looks |= KW_POLICY_LOOKS_NETWORK;
    }
    return looks;
}

void policy_index(struct kw_policy *policy) {
    policy->looks = all_looks(policy);
    for (u32 nr = 0; nr < KW_CALL_LIMIT; nr++)
        policy->call_looks[nr] = call_looks(policy, nr);
}
