/* Token buckets as the time at which each one will be full again (GCRA): one word for each rate,
 * which every monitor of the instance changes. */
#include "policy/policy.h"

/* Takes one token. A bucket with a time that cannot be is one without tokens. */
static bool take(u64 *bucket, u64 interval, u64 burst, u64 now) {
    u64 depth = interval * burst, full = __atomic_load_n(bucket, __ATOMIC_RELAXED), next;
    do {
        u64 from = full > now ? full : now;
        if (from - now > depth)
            from = now + depth;
        next = from + interval;
        if (next - now > depth)
            return false;
    } while (!__atomic_compare_exchange_n(bucket, &full, next, false, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));
    return true;
}

struct kw_policy_verdict policy_rates(const struct kw_policy *policy,
                                      u64 buckets[KW_POLICY_RATES_MAX], u64 nr, u64 now) {
    struct kw_policy_verdict verdict = {0};
    u32 count = policy->rate_count;
    for (u32 i = 0; nr < KW_CALL_LIMIT && i < count && i < KW_POLICY_RATES_MAX; i++) {
        const struct kw_policy_rate *rate = &policy->rates[i];
        if (rate->calls[nr / 64] >> nr % 64 & 1 &&
            !take(&buckets[i], rate->interval_ns, rate->burst, now))
            verdict = stricter(verdict, rate->verdict);
    }
    return verdict;
}
