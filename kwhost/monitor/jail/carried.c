#include "jail/carried.h"

#include "base/text.h"

#define RULES_MAX 64u /* of a layer; each is compared with each */
#define READ_WRITE (KW_POLICY_READ | KW_POLICY_WRITE)

static const struct kw_policy_path *rules_of(const struct kw_policy *policy,
                                             const struct kw_policy_layer *layer) {
    return policy->paths + layer->path_first;
}

static bool has_same_text(const struct kw_policy *policy, const struct kw_policy_path *one,
                          const struct kw_policy_path *other) {
    return one->length == other->length &&
           !memcmp(policy_text(policy, one), policy_text(policy, other), one->length);
}

/* Of two rules on a name the first decides. */
static bool decides(const struct kw_policy *policy, const struct kw_policy_layer *layer,
                    const struct kw_policy_path *rule) {
    for (const struct kw_policy_path *before = rules_of(policy, layer); before < rule; before++)
        if (before->kind == KW_POLICY_SUBTREE && has_same_text(policy, before, rule))
            return false;
    return true;
}

static bool is_beneath(const struct kw_policy *policy, const struct kw_policy_path *rule,
                       const struct kw_policy_path *outer) {
    return outer->kind == KW_POLICY_SUBTREE && outer->length < rule->length &&
           policy_text(policy, rule)[outer->length] == '/' &&
           !memcmp(policy_text(policy, rule), policy_text(policy, outer), outer->length);
}

/* What is granted in the directory that the rule's name is in. */
static u32 access_around(const struct kw_policy *policy, const struct kw_policy_layer *layer,
                         const struct kw_policy_path *rule) {
    const struct kw_policy_path *rules = rules_of(policy, layer), *nearest = NULL;
    for (u32 i = 0; i < layer->path_count; i++)
        if (is_beneath(policy, rule, &rules[i]) && decides(policy, layer, &rules[i]) &&
            (!nearest || rules[i].length > nearest->length))
            nearest = &rules[i];
    return nearest ? nearest->access : layer->other_access;
}

bool carried_adds(const struct kw_policy *policy, const struct kw_policy_layer *layer,
                  const struct kw_policy_path *rule) {
    return decides(policy, layer, rule) &&
           (access_around(policy, layer, rule) ^ rule->access) & READ_WRITE;
}

/* What is executed is read by the kernel; and more than is granted fails, and nothing else. */
static bool is_plain(u32 access, struct kw_policy_verdict refused) {
    return access == POLICY_ALL || (refused.action == KW_POLICY_ERRNO &&
                                    (!(access & KW_POLICY_EXECUTE) || access & KW_POLICY_READ));
}

/* Files of procfs are made anew at each look. */
static bool is_in_procfs(const struct kw_policy *policy, const struct kw_policy_path *rule) {
    return rule->length > 6 && !memcmp(policy_text(policy, rule), "/proc/", 6);
}

static bool rule_fits(const struct kw_policy *policy, const struct kw_policy_layer *layer,
                      const struct kw_policy_path *rule) {
    u32 around = access_around(policy, layer, rule);
    if (!is_plain(rule->access, rule->refused))
        return false;
    if (!((around ^ rule->access) & READ_WRITE))
        return true;
    /* An exception; or a name that may come to stand for something else. */
    return !(around & READ_WRITE & ~rule->access) && !(around & KW_POLICY_WRITE) &&
           !is_in_procfs(policy, rule);
}

/* All beneath a directory is granted with it. */
static bool differs_beneath(const struct kw_policy *policy, const struct kw_policy_path *one,
                            const struct kw_policy_path *other) {
    return one->access != other->access && has_same_text(policy, one, other);
}

static bool layer_fits(const struct kw_policy *policy, const struct kw_policy_layer *layer) {
    const struct kw_policy_path *rules = rules_of(policy, layer);
    if (layer->path_count > RULES_MAX || !is_plain(layer->other_access, layer->other_path))
        return false;
    for (u32 i = 0; i < layer->path_count; i++) {
        if (rules[i].kind == KW_POLICY_GLOB)
            return false;
        if (!decides(policy, layer, &rules[i]))
            continue;
        if (!rule_fits(policy, layer, &rules[i]))
            return false;
        for (u32 j = 0; j < i; j++)
            if (differs_beneath(policy, &rules[i], &rules[j]))
                return false;
    }
    return true;
}

bool carried_fits(const struct kw_policy *policy) {
    for (u32 i = 0; i < policy_layers(policy); i++)
        if (program_layer_has_files(&policy->layers[i]) && !layer_fits(policy, &policy->layers[i]))
            return false;
    return true;
}
