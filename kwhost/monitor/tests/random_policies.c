#include "random_policies.h"

#include <asm/unistd.h>

#include "policies.h"

const u32 random_calls[RANDOM_CALLS] = {__NR_read,   __NR_write, __NR_ioctl,
                                        __NR_socket, __NR_clone, __NR_lseek};

u64 random_below(u64 end) {
    static u64 state;
    state = state * 6364136223846793005ul + 1442695040888963407ul;
    return (state >> 33) % end;
}

u64 random_value(void) {
    static const u64 values[] = {0,         1,          2,         3,
                                 0x80,      0xffffffff, 1ul << 32, (1ul << 32) + 1,
                                 1ul << 63, ~0ul << 32, ~0ul,      0x5401};
    return values[random_below(array_size(values))];
}

static struct kw_policy_verdict random_verdict(void) {
    static const u8 actions[] = {KW_POLICY_ALLOW, KW_POLICY_ALLOW, KW_POLICY_LOG, KW_POLICY_ERRNO};
    u8 action = actions[random_below(array_size(actions))];
    return (struct kw_policy_verdict){action, 0, action == KW_POLICY_ERRNO, 1};
}

static struct kw_policy_condition random_condition(void) {
    static const u64 masks[] = {~0ul, 0xffffffff, 1, 0x83, 3ul << 32, (1ul << 32) + 1};
    struct kw_policy_condition condition = {.argument = (u8)random_below(3),
                                            .comparison = (u8)random_below(3),
                                            .mask = masks[random_below(array_size(masks))],
                                            .value = random_value()};
    if (random_below(4))
        condition.value &= condition.mask;
    return condition;
}

void make_random_policy(struct kw_policy *policy) {
    policy_make(policy, 1 + (u32)random_below(3));
    for (u32 layer = 0; layer < policy->layer_count; layer++)
        for (u32 i = 0; i < RANDOM_CALLS; i++) {
            u32 nr = random_calls[i];
            policy->layers[layer].calls[nr].verdict = random_verdict();
            for (u64 rules = random_below(5); rules; rules--) {
                const struct kw_policy_condition conditions[3] = {
                    random_condition(), random_condition(), random_condition()};
                policy_add_arguments(policy, layer, nr, random_verdict(), conditions,
                                     1 + (u32)random_below(3));
            }
        }
}

void change_random_policy(struct kw_policy *policy) {
    struct kw_policy_layer *layer = &policy->layers[random_below(policy->layer_count)];
    struct kw_policy_call *call = &layer->calls[random_calls[random_below(RANDOM_CALLS)]];
    switch (random_below(4)) {
    case 0:
        call->verdict = random_verdict();
        break;
    case 1:
        call->count -= call->count > 0;
        break;
    case 2:
        if (call->count)
            policy->arguments[call->first + random_below(call->count)].verdict = random_verdict();
        break;
    default:
        if (call->count)
            policy->arguments[call->first + random_below(call->count)].conditions[0] =
                random_condition();
        break;
    }
}
