/* The host's clock. */
#ifndef KW_BASE_CLOCK_H
#define KW_BASE_CLOCK_H

#include <linux/time.h>
#include <linux/time_types.h>

#include "base/host.h"

/* CLOCK_MONOTONIC, in nanoseconds. */
static inline u64 monotonic_ns(void) {
    struct __kernel_timespec now = {0};
    host(__NR_clock_gettime, CLOCK_MONOTONIC, &now);
    return (u64)now.tv_sec * 1000000000ul + (u64)now.tv_nsec;
}

#endif
