/* Counters of system calls in the statistics page that all monitors of an instance share. */
#ifndef KW_CALLS_STATS_H
#define KW_CALLS_STATS_H

#include "base/report.h"
#include "base/types.h"

static inline void stats_add(u64 *counter, u64 value) {
    __atomic_fetch_add(counter, value, __ATOMIC_RELAXED);
}

/* Time stamp counter: the cheapest clock there is (a clock_gettime costs ten times as much). */
static inline u64 stats_ticks(void) {
    u32 low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (u64)high << 32 | low;
}

/* Counts call `nr`, before it is served (not every call returns), and how it went, after. */
void stats_begin(u64 nr);
void stats_end(u64 nr, u64 began, long result, bool refused);

/* Counts one refused use inside a call that is otherwise served (an ioctl request, an option). */
void stats_refused(u64 nr);

#endif
