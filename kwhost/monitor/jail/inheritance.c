#include "jail/inheritance.h"

#include <asm/signal.h>
#include <linux/prctl.h>

#include "jail/descriptors.h"
#include "jail/kernel.h"

#ifndef PR_SET_MEMORY_MERGE /* newer than the headers of the oldest supported system */
#define PR_SET_MEMORY_MERGE 67
#endif

void inheritance_reset_signals(void) {
    struct {
        void *handler;
        u64 flags, restorer, mask;
    } action = {0};
    u64 mask = 1ul << (SIGXFSZ - 1);
    for (u32 signal = 1; signal <= 64; signal++) {
        action.handler = signal == SIGPIPE ? SIG_IGN : SIG_DFL;
        host(__NR_rt_sigaction, signal, &action, 0, sizeof mask);
    }
    host(__NR_rt_sigprocmask, SIG_SETMASK, &mask, 0, sizeof mask);
}

void inheritance_fill_stdio(void) {
    for (int fd = 0; fd < 3; fd++)
        if (host(__NR_fcntl, fd, F_GETFD, 0) < 0)
            host(__NR_openat, AT_FDCWD, "/dev/null", O_RDWR, 0);
}

void inheritance_separate_pages(void) {
    host(__NR_prctl, PR_SET_MEMORY_MERGE, 0, 0, 0, 0); /* EINVAL: the kernel cannot do it at all */
}

void inheritance_close_others(const struct launch *launch, int self) {
    int kept[LAUNCH_FDS + LAUNCH_TAP_FDS + 2];
    launch_fds(launch->record, kept);
    launch_tap_fds(launch, kept + LAUNCH_FDS);
    kept[LAUNCH_FDS + LAUNCH_TAP_FDS] = self;
    kept[LAUNCH_FDS + LAUNCH_TAP_FDS + 1] = launch->record->secrets_fd;
    descriptors_keep(kept, array_size(kept));
}
