#include "jail/program_change.h"

#include "base/text.h"
#include "jail/program_rules.h"
#include "policy/policy.h"

/* One of a layer's list about a call, of which the first one that holds decides. */
struct entry {
    const struct kw_policy_condition *conditions;
    u32 count;
    bool plain; /* permission, and nothing to tell */
};

/* What a layer says about a call. */
struct list {
    const struct kw_policy_arguments *rules;
    u32 count;
    struct kw_policy_verdict otherwise;
};

static struct list list_of(const struct kw_policy *policy, u32 layer, u32 nr) {
    const struct kw_policy_layer *of = &policy->layers[layer];
    if (nr >= KW_CALL_LIMIT)
        return (struct list){.otherwise = of->unknown};
    const struct kw_policy_call *call = &of->calls[nr];
    return (struct list){policy->arguments + call->first, call->count, call->verdict};
}

/* The last one, at the index `count`, holds for all calls. */
static struct entry entry_at(const struct list *list, u32 index) {
    if (index == list->count)
        return (struct entry){.plain = list->otherwise.action == KW_POLICY_ALLOW};
    const struct kw_policy_arguments *rule = &list->rules[index];
    return (struct entry){rule->conditions, rule->count, rule->verdict.action == KW_POLICY_ALLOW};
}

/* The least and the greatest value of the bits that count. */
static u64 least(const struct kw_policy_condition *condition) {
    return condition->comparison == KW_POLICY_MOST ? 0 : condition->value;
}
static u64 most(const struct kw_policy_condition *condition) {
    return condition->comparison == KW_POLICY_LEAST ? condition->mask : condition->value;
}

/* Where the first one holds, so does the other. */
static bool implies(const struct kw_policy_condition *given,
                    const struct kw_policy_condition *then) {
    if (given->argument != then->argument)
        return false;
    if (given->mask == then->mask)
        return least(given) >= least(then) && most(given) <= most(then);
    u64 value = given->value & then->mask;
    return given->comparison == KW_POLICY_EQUAL && !(then->mask & ~given->mask) &&
           value >= least(then) && value <= most(then);
}

/* They never hold both. */
static bool contradict(const struct kw_policy_condition *one,
                       const struct kw_policy_condition *other) {
    if (one->argument != other->argument)
        return false;
    if (one->mask == other->mask)
        return most(one) < least(other) || most(other) < least(one);
    return one->comparison == KW_POLICY_EQUAL && other->comparison == KW_POLICY_EQUAL &&
           (one->value ^ other->value) & one->mask & other->mask;
}

/* All calls that `inner` holds for, `outer` does. */
static bool covers(struct entry outer, struct entry inner) {
    for (u32 i = 0; i < outer.count; i++) {
        bool implied = false;
        for (u32 j = 0; j < inner.count; j++)
            implied |= implies(&inner.conditions[j], &outer.conditions[i]);
        if (!implied)
            return false;
    }
    return true;
}

/* There is no call that both hold for. */
static bool excludes(struct entry one, struct entry other) {
    for (u32 i = 0; i < one.count; i++)
        for (u32 j = 0; j < other.count; j++)
            if (contradict(&one.conditions[i], &other.conditions[j]))
                return true;
    return false;
}

/* What it holds for was decided by one of the list's entries before `end`. */
static bool is_decided(const struct list *list, u32 end, struct entry entry) {
    for (u32 i = 0; i < end; i++)
        if (covers(entry_at(list, i), entry))
            return true;
    return false;
}

/* By a layer of the filter's policy, all calls that the list's entry decides are not plainly
 * permitted. */
static bool asks(const struct list *of, const struct list *list, u32 index) {
    struct entry entry = entry_at(list, index);
    for (u32 i = 0; i <= of->count; i++) {
        struct entry decides = entry_at(of, i);
        if (!decides.plain && covers(decides, entry))
            return true;
        if (decides.plain && !excludes(decides, entry) && !is_decided(list, index, decides))
            return false;
    }
    return false;
}

static bool is_rated(const struct kw_policy *policy, u32 nr) {
    bool rated = false;
    for (u32 i = 0; i < policy->rate_count && nr < KW_CALL_LIMIT; i++)
        rated |= policy->rates[i].calls[nr / 64] >> nr % 64 & 1;
    return rated;
}

/* The filters ask about all calls that an entry of the list decides. */
static bool is_asked(const struct kw_policy *started, const struct list *list, u32 index, u32 nr) {
    if (started && is_rated(started, nr))
        return true;
    for (u32 i = 0; started && i < started->layer_count; i++) {
        struct list of = list_of(started, i, nr);
        if (asks(&of, list, index))
            return true;
    }
    return false;
}

static bool may_decide(const struct kw_policy *started, const struct kw_policy *policy, u32 nr) {
    const struct list rated = {.otherwise = {.action = KW_POLICY_ERRNO}};
    if (is_rated(policy, nr) && !is_asked(started, &rated, 0, nr))
        return false;
    for (u32 i = 0; i < policy->layer_count; i++) {
        struct list list = list_of(policy, i, nr);
        for (u32 j = 0; j <= list.count; j++) {
            struct entry entry = entry_at(&list, j);
            if (!entry.plain && !is_decided(&list, j, entry) && !is_asked(started, &list, j, nr))
                return false;
        }
    }
    return true;
}

static bool same_verdict(struct kw_policy_verdict one, struct kw_policy_verdict other) {
    return one.action == other.action && one.error == other.error;
}

static bool same_paths(const struct kw_policy *one, const struct kw_policy_layer *of_one,
                       const struct kw_policy *other, const struct kw_policy_layer *of_other) {
    if (of_one->path_count != of_other->path_count ||
        of_one->other_access != of_other->other_access ||
        !same_verdict(of_one->other_path, of_other->other_path))
        return false;
    for (u32 i = 0; i < of_one->path_count; i++) {
        const struct kw_policy_path *rule = &one->paths[of_one->path_first + i];
        const struct kw_policy_path *like = &other->paths[of_other->path_first + i];
        if (rule->kind != like->kind || rule->access != like->access ||
            rule->literal != like->literal || rule->length != like->length ||
            !same_verdict(rule->refused, like->refused) ||
            memcmp(one->texts + rule->text, other->texts + like->text, rule->length))
            return false;
    }
    return true;
}

/* From `from` on, the next layer with rules on files; the number of layers: there is none. */
static u32 next_on_files(const struct kw_policy *policy, u32 from) {
    while (policy && from < policy->layer_count && !program_layer_has_files(&policy->layers[from]))
        from++;
    return policy ? from : 0;
}

/* The same rules on files, which Landlock keeps. */
static bool same_files(const struct kw_policy *one, const struct kw_policy *other) {
    u32 i = next_on_files(one, 0), j = next_on_files(other, 0);
    while (one && i < one->layer_count && j < other->layer_count) {
        if (!same_paths(one, &one->layers[i], other, &other->layers[j]))
            return false;
        i = next_on_files(one, i + 1);
        j = next_on_files(other, j + 1);
    }
    return (!one || i == one->layer_count) && j == other->layer_count;
}

enum program_change program_change(const struct program_filter *filter,
                                   const struct kw_policy *policy, u32 *call) {
    struct program_filter changed = *filter;
    changed.policy = policy;
    u32 added = program_filter_rules(&changed) & ~program_filter_rules(filter);
    if (added & PROGRAM_RULES_NETWORK)
        return PROGRAM_CHANGE_NETWORK;
    if (added & (PROGRAM_RULES_FILES | PROGRAM_RULES_REST) ||
        (!filter->files && !same_files(filter->policy, policy)))
        return PROGRAM_CHANGE_FILES;
    for (u32 nr = 0; nr <= KW_CALL_LIMIT; nr++)
        if (!program_passes(nr) && !may_decide(filter->policy, policy, nr)) {
            *call = nr;
            return PROGRAM_CHANGE_CALL;
        }
    return PROGRAM_CHANGE_GOOD;
}
