/* link: jail/program_filter.c jail/program_code.c jail/program_rules.c jail/program_change.c
 * policy/validate.c policy/decide.c base/text.c tests/policies.c */
/* The filter of a program without a monitor, made from any policy: the kernel takes it, and it lets
 * nothing pass that the policy does not plainly permit, nor does it after a change that is good.
 * Input: settings, then rules of 16 bytes about a few calls, then registers. */
#include <stdlib.h>
#include <string.h>

#include "jail/program_change.h"
#include "tests/policies.h"
#include "tests/program_model.h"

#define RULE_SIZE 16u
#define CALLS 8u
#define MUST(condition)                                                                            \
    do                                                                                             \
        if (!(condition))                                                                          \
            abort();                                                                               \
    while (0)

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static struct kw_policy_verdict verdict(u8 action) {
    action %= KW_POLICY_KILL + 1;
    return (struct kw_policy_verdict){action, 0, action == KW_POLICY_ERRNO, 1};
}

/* Calls with arguments that are looked at, and without. */
static u32 call_number(u8 byte) {
    static const u32 numbers[CALLS] = {0, 1, 16, 41, 46, 56, 59, 257};
    return numbers[byte % CALLS];
}

static u64 number(const u8 *data) {
    u32 value;
    memcpy(&value, data, sizeof value);
    /* The halves of an argument are much alike. */
    return data[0] & 1 ? (u64)value << 32 | (value >> 16) : value;
}

/* One rule or one verdict. Rules of a call come together where the input has them so; else the ones
 * before are forgotten. */
static void add_rule(struct kw_policy *policy, const u8 *data) {
    u32 layer = data[0] % policy->layer_count, nr = call_number(data[1]);
    struct kw_policy_call *call = &policy->layers[layer].calls[nr];
    struct kw_policy_condition condition = {.argument = data[3] % 6,
                                            .comparison = data[4] % 3,
                                            .mask = number(data + 8),
                                            .value = number(data + 12)};
    if (call->count && call->first + call->count != policy->argument_count)
        call->count = 0;
    if (data[5] & 1)
        call->verdict = verdict(data[2]);
    else if (policy->argument_count < KW_POLICY_ARGUMENTS_MAX)
        policy_add_arguments(policy, layer, nr, verdict(data[2]), &condition, 1);
    if (data[6] == 1)
        policy->layers[layer].other_listen = verdict(data[7]);
    if (data[6] == 2)
        policy->layers[layer].other_access = data[7] & POLICY_ALL;
}

static void ask(const struct program_filter *filter, const struct program_filter *later,
                const struct sock_filter *code, const u8 *data) {
    u64 arg[6];
    u32 nr = data[0] & 1 ? call_number(data[1]) : (u32)data[0] << 1;
    for (u32 i = 0; i < 6; i++)
        arg[i] = number(data + (i * 3) % (RULE_SIZE - 4));
    u32 found = bpf_verdict(code, nr, arg), expected = model_verdict(filter, nr, arg);
    MUST(found == expected || found == SECCOMP_RET_USER_NOTIF);
    if (later && found != SECCOMP_RET_USER_NOTIF && !program_passes(nr))
        MUST(model_is_plain(later, nr, arg));
}

#define LAYERS 3
#define RULES 16

/* Of a policy with so many rules at most, without what it does not use. */
static void copy(struct kw_policy *to, const struct kw_policy *from) {
    memcpy(to, from, offsetof(struct kw_policy, layers[LAYERS]));
    memcpy(to->arguments, from->arguments, RULES * sizeof *to->arguments);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size) {
    static struct kw_policy none, policy, changed;
    static struct sock_filter code[PROGRAM_FILTER_MAX];
    struct program_filter filter = {.policy = &policy, .channel = -1};
    struct program_filter later = {.policy = &changed, .channel = -1};
    if (size < RULE_SIZE)
        return 0;
    if (!none.magic)
        policy_make(&none, LAYERS);
    u32 rules = data[1] % RULES, call;
    filter.files = later.files = data[0] & 1;
    filter.learn = later.learn = data[0] & 2;
    copy(&policy, &none);
    policy.layer_count = 1 + data[2] % LAYERS;
    data += 3, size -= 3;
    for (; rules && size >= RULE_SIZE; rules--, data += RULE_SIZE, size -= RULE_SIZE)
        add_rule(&policy, data);
    MUST(bpf_is_good(code, program_filter_make(&filter, code)));
    copy(&changed, &policy);
    if (size >= RULE_SIZE)
        add_rule(&changed, data);
    bool good = program_change(&filter, &changed, &call) == PROGRAM_CHANGE_GOOD;
    for (; size >= RULE_SIZE; data += RULE_SIZE, size -= RULE_SIZE)
        ask(&filter, good ? &later : NULL, code, data);
    return 0;
}
