#include "jail/clock.h"

#include <linux/time.h>
#include <linux/time_types.h>

#include "base/host.h"
#include "base/text.h"

#define DAYS_IN_400_YEARS 146097ul

static u64 read_clock(int which) {
    struct __kernel_timespec time = {0};
    host(__NR_clock_gettime, which, &time);
    return (u64)time.tv_sec * SECOND_NS + (u64)time.tv_nsec;
}

u64 clock_monotonic(void) {
    return read_clock(CLOCK_MONOTONIC);
}

u64 clock_realtime(void) {
    return read_clock(CLOCK_REALTIME);
}

void clock_text(u64 realtime, char text[CLOCK_TEXT_SIZE]) {
    /* Years are counted from March here, so that the odd day of a leap year is the last. */
    u64 seconds = realtime / SECOND_NS, days = seconds / 86400 + 719468;
    u64 era = days / DAYS_IN_400_YEARS, day = days % DAYS_IN_400_YEARS;
    u64 year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    day -= 365 * year + year / 4 - year / 100;
    u64 month = (5 * day + 2) / 153;
    day = day - (153 * month + 2) / 5 + 1;
    month = month < 10 ? month + 3 : month - 9;
    year += era * 400 + (month <= 2);
    format(text, CLOCK_TEXT_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%09uZ", (u32)year, (u32)month,
           (u32)day, (u32)(seconds / 3600 % 24), (u32)(seconds / 60 % 60), (u32)(seconds % 60),
           (u32)(realtime % SECOND_NS));
}
