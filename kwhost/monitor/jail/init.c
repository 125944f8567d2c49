#include "jail/init.h"

#include <asm/siginfo.h>
#include <asm/signal.h>
#include <linux/prctl.h>
#include <linux/wait.h>

#include "jail/errors.h"
#include "jail/filter.h"
#include "jail/kernel.h"

/* Collects all that ended; leaves when the program is among them. */
static void reap(int child) {
    for (;;) {
        int status = 0;
        long pid = host(__NR_wait4, -1, &status, WNOHANG, 0);
        if (pid == -EINTR)
            continue;
        if (pid == child || pid == -ECHILD)
            host(__NR_exit_group,
                 status_exited(status) ? status_code(status) : 128 + status_signal(status));
        if (pid <= 0)
            return;
    }
}

_Noreturn void init_main(int child) {
    u64 all = ~0ul;
    siginfo_t info;
    host(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
    host(__NR_prctl, PR_SET_NAME, "kw-init", 0, 0, 0);
    host(__NR_rt_sigprocmask, SIG_SETMASK, &all, 0, sizeof all);
    if (filter_set(FILTER_INIT, 0, NULL) < 0)
        host(__NR_exit_group, STATUS_OWN);
    reap(child); /* a signal from before may stand for several */
    for (;;) {
        long signal = host(__NR_rt_sigtimedwait, &all, &info, 0, sizeof all);
        if (signal == SIGCHLD)
            reap(child);
        else if (signal > 0)
            host(__NR_kill, child, signal);
    }
}
