#include "base/text.h"
#include "policy/policy.h"

/* Rules first to end of the array, all of one layer. */
struct range {
    const struct kw_policy *policy;
    u32 first, end;
};

static const struct kw_policy_network *rule_at(const struct range *range, u32 index) {
    return &range->policy->networks[index < KW_POLICY_NETWORKS_MAX ? index : 0];
}

static struct range layer_range(const struct kw_policy *policy,
                                const struct kw_policy_layer *layer) {
    u32 first = layer->network_first, count = layer->network_count;
    first = first < KW_POLICY_NETWORKS_MAX ? first : KW_POLICY_NETWORKS_MAX;
    count = count < KW_POLICY_NETWORKS_MAX - first ? count : KW_POLICY_NETWORKS_MAX - first;
    return (struct range){policy, first, first + count};
}

/* Where a rule stands to a place in the order of direction, prefix and address: below 0 before it.
 * Without an address only the first two count. */
static int stands(const struct kw_policy_network *rule, u32 direction, u32 prefix,
                  const u8 *address) {
    if (rule->direction != direction)
        return rule->direction < direction ? -1 : 1;
    if (rule->prefix != prefix)
        return rule->prefix > prefix ? -1 : 1;
    return address ? memcmp(rule->address, address, sizeof rule->address) : 0;
}

/* The first rule that stands at least (or, `after`, behind) there. */
static u32 find(const struct range *range, u32 direction, u32 prefix, const u8 *address,
                bool after) {
    u32 low = range->first, high = range->end;
    while (low < high) {
        u32 middle = low + (high - low) / 2;
        int order = stands(rule_at(range, middle), direction, prefix, address);
        if (order < 0 || (after && order == 0))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void keep_prefix(u8 address[16], u32 prefix) {
    for (u32 i = 0; i < 16; i++) {
        u32 bits = prefix > i * 8 ? prefix - i * 8 : 0;
        if (bits < 8)
            address[i] &= (u8)(0xff00 >> bits);
    }
}

/* Looks among the rules of one prefix. */
static bool look(const struct range *range, u32 direction, u32 prefix,
                 const struct policy_address *address, struct kw_policy_verdict *verdict) {
    u8 masked[16];
    memcpy(masked, address->bytes, sizeof masked);
    keep_prefix(masked, prefix);
    for (u32 i = find(range, direction, prefix, masked, false); i < range->end; i++) {
        const struct kw_policy_network *rule = rule_at(range, i);
        if (stands(rule, direction, prefix, masked) != 0)
            break;
        if (address->port >= rule->port_first && address->port <= rule->port_last &&
            (!rule->protocol || rule->protocol == address->protocol)) {
            *verdict = rule->verdict;
            return true;
        }
    }
    return false;
}

static struct kw_policy_verdict layer_network(const struct kw_policy *policy,
                                              const struct kw_policy_layer *layer, u32 direction,
                                              const struct policy_address *address) {
    struct range range = layer_range(policy, layer);
    struct kw_policy_verdict verdict;
    u32 at = find(&range, direction, 128, NULL, false);
    while (at < range.end) {
        const struct kw_policy_network *rule = rule_at(&range, at);
        u32 prefix = rule->prefix;
        if (rule->direction != direction)
            break;
        if (look(&range, direction, prefix, address, &verdict))
            return verdict;
        at = (u32)max_u64(find(&range, direction, prefix, NULL, true), at + 1);
    }
    return direction == KW_POLICY_LISTEN ? layer->other_listen : layer->other_address;
}

/* Linux connects to the loopback address instead of the unspecified one. */
static void specify(struct policy_address *address) {
    static const u8 any4[16] = {[10] = 0xff, [11] = 0xff}, any6[16] = {0};
    if (!memcmp(address->bytes, any4, sizeof any4))
        address->bytes[12] = 127;
    else if (memcmp(address->bytes, any6, sizeof any6))
        return;
    address->bytes[15] = 1;
}

struct kw_policy_verdict policy_network(const struct kw_policy *policy,
                                        enum kw_policy_direction direction,
                                        const struct policy_address *address) {
    struct kw_policy_verdict verdict = {0};
    struct policy_address where = *address;
    u32 layers = policy_layers(policy);
    if (direction == KW_POLICY_TO)
        specify(&where);
    for (u32 i = 0; i < layers; i++)
        verdict = stricter(verdict, layer_network(policy, &policy->layers[i], direction, &where));
    return verdict;
}
