/* How a monitor that cannot go on says why: into the statistics page, where supervise reads it. */
#ifndef KW_BASE_REPORT_H
#define KW_BASE_REPORT_H

#include "abi/kw_abi.h"
#include "base/types.h"

/* The instance's statistics page; a private one until main has mapped it. Shared with every monitor
 * of the instance: add with relaxed atomics. */
extern struct kw_stats *stats_page;

/* Ends the process at once with exit status `status` (125, 126 or 127), one line in the statistics
 * page when this is the instance's first process, and on the guest's standard error otherwise. */
_Noreturn void monitor_fail(u32 status, const char *pattern, ...) PRINTF(2, 3);

#define stats_count(field, n) __atomic_fetch_add(&stats_page->field, (n), __ATOMIC_RELAXED)

#endif
