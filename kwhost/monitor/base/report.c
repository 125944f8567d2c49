#include "base/report.h"

#include "base/host.h"
#include "base/text.h"

static struct kw_stats private_page;
struct kw_stats *stats_page = &private_page;

_Noreturn void monitor_fail(u32 status, const char *pattern, ...) {
    char line[KW_ERROR_MAX];
    va_list args;
    va_start(args, pattern);
    format_list(line, sizeof line, pattern, args);
    va_end(args);
    if (host(__NR_getpid) == 1 && stats_page != &private_page) {
        memcpy(stats_page->failure, line, sizeof line);
        __atomic_store_n(&stats_page->failure_status, status, __ATOMIC_RELEASE);
    } else {
        char text[KW_ERROR_MAX + 16];
        int length = format(text, sizeof text, "kwhost: %s\n", line);
        host(__NR_write, 2, text, length);
    }
    for (;;)
        host(__NR_exit_group, status);
}
