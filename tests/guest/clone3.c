/* clone3: what it does that the others do not, and its errors. */
#include "check.h"
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>

static long clone_three(struct clone_args *arguments, size_t size) {
    fflush(stdout);
    long result = syscall(SYS_clone3, arguments, size);
    if (result == 0)
        _exit(31);
    return result;
}
int main(void) {
    static char stack[4096];
    int pidfd = -1, parent_tid = 0;
    struct clone_args arguments = {
        .flags = CLONE_PIDFD | CLONE_PARENT_SETTID,
        .pidfd = (uintptr_t)&pidfd,
        .parent_tid = (uintptr_t)&parent_tid,
        .exit_signal = SIGCHLD,
    };
    long child = MUST(clone_three(&arguments, sizeof arguments));
    printf("parent tid %d pidfd %d\n", parent_tid == child, pidfd >= 0);
    struct pollfd event = {pidfd, POLLIN, 0};
    SHOW(poll(&event, 1, 5000));
    printf("events %x\n", event.revents);
    siginfo_t info = {0};
    SHOW(waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED));
    printf("code %d status %d pid %d\n", info.si_code, info.si_status, info.si_pid == child);
    SHOW(syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0));
    SHOW(clone_three(&arguments, 8));
    SHOW(clone_three(&arguments, 1 << 20));
    const unsigned long bad[] = {0, 8, 1ul << 46, 0x100000000000, 1ul << 63, -8ul};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        SHOW(clone_three((struct clone_args *)bad[i], sizeof arguments));
    arguments = (struct clone_args){.exit_signal = 200};
    SHOW(clone_three(&arguments, sizeof arguments));
    arguments = (struct clone_args){.exit_signal = SIGCHLD, .flags = CLONE_THREAD};
    SHOW(clone_three(&arguments, sizeof arguments));
    arguments = (struct clone_args){.exit_signal = SIGCHLD, .stack = (uintptr_t)stack};
    SHOW(clone_three(&arguments, sizeof arguments));
    arguments = (struct clone_args){.exit_signal = SIGCHLD, .stack_size = 4096};
    SHOW(clone_three(&arguments, sizeof arguments));
    arguments = (struct clone_args){.exit_signal = SIGCHLD, .flags = 1ul << 50};
    SHOW(clone_three(&arguments, sizeof arguments));
    struct {
        struct clone_args known;
        uint64_t unknown;
    } longer = {.known = {.exit_signal = SIGCHLD}};
    reap("longer arguments", (pid_t)MUST(clone_three(&longer.known, sizeof longer)));
    longer.unknown = 5;
    SHOW(clone_three(&longer.known, sizeof longer));
    arguments = (struct clone_args){.exit_signal = SIGCHLD, .flags = CLONE_CLEAR_SIGHAND};
    reap("cleared handlers", (pid_t)MUST(clone_three(&arguments, sizeof arguments)));
    return 0;
}
