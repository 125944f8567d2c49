#include "jail/exits.h"

#include <asm/siginfo.h>
#include <asm/signal.h>

#include "base/text.h"
#include "jail/errors.h"
#include "jail/kernel.h"

#define EXITED_BY_SIGNAL 256
#define SIGNAL_MOST 64

/* Copied, not mapped: the page may shrink or change while it is read. The counters of each call,
 * which come last, are left out. */
static bool read_page(int fd, struct kw_stats *page) {
    const u64 size = offsetof(struct kw_stats, calls);
    return fd >= 0 && host(__NR_pread64, fd, page, size, 0) == (long)size &&
           page->magic == KW_STATS_MAGIC;
}

static const char *signal_text(u32 signal) {
    switch (signal) {
    case SIGSEGV:
        return "segmentation fault";
    case SIGBUS:
        return "bus error";
    case SIGILL:
        return "illegal instruction";
    case SIGFPE:
        return "arithmetic error";
    case SIGTRAP:
        return "breakpoint trap";
    case SIGSYS:
        return "bad system call";
    default:
        return NULL;
    }
}

static const char *cause_text(u32 signal, u32 code) {
    if (signal == SIGSEGV && code == SEGV_MAPERR)
        return " (nothing is mapped there)";
    if (signal == SIGSEGV && code == SEGV_ACCERR)
        return " (the mapping does not allow it)";
    if (signal == SIGSEGV && code == SI_KERNEL)
        return " (general protection)";
    if (signal == SIGBUS && code == BUS_ADRERR)
        return " (past the end of the file)";
    if (signal == SIGBUS && code == BUS_ADRALN)
        return " (not aligned)";
    if (signal == SIGFPE && code == FPE_INTDIV)
        return " (division by zero)";
    return "";
}

/* The line about a crash: "segmentation fault at 0x10 (nothing is mapped there), ...". */
static void describe_crash(const struct kw_stats *page, struct kw_message *event) {
    char mapping[sizeof page->crash_mapping];
    const char *what = signal_text(page->crash_signal);
    if (!what || page->crash_signal != event->value - EXITED_BY_SIGNAL)
        return;
    memcpy(mapping, page->crash_mapping, sizeof mapping);
    mapping[sizeof mapping - 1] = 0;
    format(event->text, sizeof event->text, "%s at 0x%lx%s%s%s, instruction at 0x%lx", what,
           (unsigned long)page->crash_address, cause_text(page->crash_signal, page->crash_code),
           mapping[0] ? ", in " : "", mapping, (unsigned long)page->crash_rip);
}

void exit_describe(int status, int stats_fd, struct kw_message *event) {
    struct kw_stats page;
    *event = (struct kw_message){.type = KW_EVENT_EXITED};
    event->value = (u32)(status_exited(status) ? status_code(status)
                                               : EXITED_BY_SIGNAL + status_signal(status));
    if (!read_page(stats_fd, &page))
        return;
    u32 failed = page.failure_status;
    if (status_exited(status) && failed >= STATUS_OWN && failed <= STATUS_NOT_FOUND) {
        event->type = KW_EVENT_FAILED;
        event->value = failed;
        memcpy(event->text, page.failure, sizeof event->text);
        event->text[sizeof event->text - 1] = 0;
        return;
    }
    u32 signal = page.exit_signal;
    /* The first process of a pid namespace cannot die of any other signal. */
    bool by_another = status_exited(status) || status_signal(status) == SIGKILL;
    if (by_another && page.exit_valid && signal >= 1 && signal <= SIGNAL_MOST)
        event->value = EXITED_BY_SIGNAL + signal;
    if (event->value > EXITED_BY_SIGNAL)
        describe_crash(&page, event);
}
