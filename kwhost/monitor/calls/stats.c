#include "calls/stats.h"

#include "base/clock.h"
#include "base/host.h"
#include "calls/call.h"

/* Nanoseconds per tick as a 32.32 fraction, measured against the host's clock: the first calls
 * refine it until 10 ms have passed. Wrong by a few percent at worst in between; threads may race
 * here, each stores a valid value. */
static struct {
    u64 scale;
    u64 first_ticks, first_ns;
    u32 calls;
    bool settled;
} clock;

static void refine_scale(void) {
    u64 ticks, ns;
    if (!clock.first_ticks) {
        clock.first_ns = monotonic_ns();
        clock.first_ticks = stats_ticks();
        return;
    }
    /* At the 1st, 2nd, 4th, 8th, ... call only. */
    u32 calls = ++clock.calls;
    if (calls & (calls - 1))
        return;
    ns = monotonic_ns() - clock.first_ns;
    ticks = stats_ticks() - clock.first_ticks;
    if (!ns || !ticks)
        return;
    if (ns > 10000000)
        clock.settled = true;
    while (ns >> 32) {
        ns >>= 1;
        ticks >>= 1;
    }
    clock.scale = (ns << 32) / ticks;
}

static u64 ticks_to_ns(u64 ticks) {
    if (unlikely(!clock.settled))
        refine_scale();
    return (u64)((unsigned __int128)ticks * clock.scale >> 32);
}

/* The last slot collects the numbers that no Linux has. */
static struct kw_call_stats *slot_of(u64 nr) {
    return &stats_page->calls[nr < KW_CALL_LIMIT ? nr : KW_CALL_LIMIT - 1];
}

void stats_begin(u64 nr) {
    stats_add(&slot_of(nr)->count, 1);
}

void stats_end(u64 nr, u64 began, long result, bool refused) {
    struct kw_call_stats *call = slot_of(nr);
    u64 ns = ticks_to_ns(stats_ticks() - began);
    u32 power = ns ? 63 - (u32)__builtin_clzl(ns) : 0;

    stats_add(&call->time_ns, ns);
    if (host_failed(result) && result > -ERESTARTSYS)
        stats_add(&call->failed, 1);
    if (refused)
        stats_add(&call->refused, 1);
    __atomic_fetch_add(&call->histogram[power < KW_HISTOGRAM ? power : KW_HISTOGRAM - 1], 1,
                       __ATOMIC_RELAXED);
}

void stats_refused(u64 nr) {
    stats_add(&slot_of(nr)->refused, 1);
}
