/* The host's clocks. */
#ifndef KW_JAIL_CLOCK_H
#define KW_JAIL_CLOCK_H

#include "base/types.h"

#define SECOND_NS 1000000000ul
#define CLOCK_TEXT_SIZE 31 /* with the NUL */

u64 clock_monotonic(void); /* nanoseconds */
u64 clock_realtime(void);  /* nanoseconds since 1970 */

/* A time since 1970 as in 2026-11-22T00:13:55.123456789Z. */
void clock_text(u64 realtime, char text[CLOCK_TEXT_SIZE]);

/* The earlier of two deadlines; 0 stands for none. */
static inline u64 earliest(u64 a, u64 b) {
    return !a || (b && b < a) ? b : a;
}

#endif
