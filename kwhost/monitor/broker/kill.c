#include "broker/kill.h"

#include <asm/poll.h>
#include <asm/signal.h>
#include <linux/poll.h>

#include "base/host.h"
#include "base/report.h"
#include "broker/listener.h"
#include "broker/status.h"

#define PATIENCE_MS 100 /* after that it does not die of it, whatever the kernel told */

/* From outside of its pid namespace the first process can only be killed; supervise tells what it
 * died of. */
static void kill_first(int process) {
    stats_page->exit_signal = SIGSYS;
    __atomic_store_n(&stats_page->exit_valid, 1, __ATOMIC_RELEASE);
    host(__NR_pidfd_send_signal, process, SIGKILL, 0, 0);
}

static bool dies_of(const char *status, u32 signal) {
    u64 kept = status_mask(status, "SigBlk") | status_mask(status, "SigIgn") |
               status_mask(status, "SigCgt");
    return !(kept >> (signal - 1) & 1);
}

/* The signal is taken where the call ends, before the program goes on. */
static void kill_other(const struct broker_request *request, int process, bool dies) {
    struct pollfd end = {.fd = process, .events = POLLIN};
    if (dies) {
        host(__NR_pidfd_send_signal, process, SIGSYS, 0, 0);
        listener_refuse(request, -EPERM);
        host(__NR_poll, &end, 1, PATIENCE_MS);
    }
    host(__NR_pidfd_send_signal, process, SIGKILL, 0, 0);
}

void kill_caller(const struct broker_request *request) {
    const char *status = status_read(request);
    if (!status)
        return;
    long process = host(__NR_pidfd_open, status_number(status, "Tgid"), 0);
    if (process < 0)
        return;
    if (broker_is_waited_for(request)) { /* so the id is its still */
        if (status_inner_id(status, "NStgid") == 1)
            kill_first((int)process);
        else
            kill_other(request, (int)process, dies_of(status, SIGSYS));
    }
    host(__NR_close, process);
}
