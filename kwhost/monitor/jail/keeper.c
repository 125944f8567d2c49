#include "jail/keeper.h"

#include <asm/siginfo.h>
#include <asm/signal.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/prctl.h>
#include <linux/wait.h>

#include "base/text.h"
#include "jail/errors.h"
#include "jail/filter.h"
#include "jail/kernel.h"
#include "jail/scratch.h"

/* Its descriptors; the executable's is closed on exec. */
enum { PROC = 3, SCRATCH, LEASE, SELF };

/* Ending processes of other ids, and becoming their user to remove their files. */
#define CAPABILITIES (1u << CAP_KILL | 1u << CAP_SETUID | 1u << CAP_SETGID)

struct keeper {
    struct keeping of;
    bool ended; /* the program did, with this status */
    int status;
};

_Noreturn void keeper_become(const struct keeping *keeping, int self) {
    char numbers[4][16];
    const u32 values[4] = {(u32)keeping->program, (u32)keeping->supervise, keeping->uid,
                           keeping->gid};
    for (u32 i = 0; i < array_size(values); i++)
        format(numbers[i], sizeof numbers[i], "%u", values[i]);
    char *argv[] = {"kwhost-monitor",      "keeper", numbers[0], numbers[1], numbers[2], numbers[3],
                    (char *)keeping->name, NULL},
         *environment[] = {NULL};
    /* Out of the way of the numbers that they get. */
    const int held[] = {keeping->proc, keeping->scratch, keeping->lease, self};
    long own[array_size(held)];
    for (u32 i = 0; i < array_size(held); i++)
        own[i] = host(__NR_fcntl, held[i], F_DUPFD_CLOEXEC, SELF);
    host(__NR_close_range, 0, ~0u, CLOSE_RANGE_CLOEXEC);
    for (u32 i = 0; i + PROC < SELF; i++)
        host(__NR_dup3, own[i], PROC + i, 0);
    host(__NR_execveat, own[SELF - PROC], "", argv, environment, AT_EMPTY_PATH);
    for (;;)
        host(__NR_exit_group, STATUS_OWN);
}

static void note(struct keeper *keeper, long pid, int status) {
    if (pid != keeper->of.program)
        return;
    keeper->ended = true;
    keeper->status = status;
}

/* Collects all that ended. */
static void reap(struct keeper *keeper) {
    long pid;
    do {
        int status = 0;
        pid = host(__NR_wait4, -1, &status, WNOHANG, 0);
        note(keeper, pid, status);
    } while (pid > 0 || pid == -EINTR);
}

/* Kills what is its child at the moment. The kernel's list is text: ids with blanks between. */
static void kill_children(void) {
    char text[4096];
    long length, pid = 0;
    long list = host(__NR_openat, PROC, "thread-self/children", O_RDONLY | O_CLOEXEC, 0);
    while (list >= 0 && (length = host(__NR_read, list, text, sizeof text)) > 0)
        for (long i = 0; i < length; i++) {
            if (text[i] >= '0' && text[i] <= '9') {
                pid = pid * 10 + (text[i] - '0');
            } else if (pid > 0) {
                host(__NR_kill, pid, SIGKILL);
                pid = 0;
            }
        }
    if (list >= 0)
        host(__NR_close, list);
}

/* When there is no child left there is no descendant left: each becomes its child before the last
 * one above it is collected. */
static void end_all(struct keeper *keeper) {
    for (;;) {
        int status = 0;
        kill_children();
        long pid = host(__NR_wait4, -1, &status, 0, 0);
        note(keeper, pid, status);
        if (pid == -ECHILD)
            return;
        reap(keeper);
    }
}

/* Ends as the program did. */
static _Noreturn void leave(int status) {
    u64 none = 0;
    if (!status_exited((u32)status)) {
        host(__NR_rt_sigprocmask, SIG_SETMASK, &none, 0, sizeof none);
        host(__NR_kill, host(__NR_getpid), status_signal((u32)status));
    }
    for (;;)
        host(__NR_exit_group, status_exited((u32)status) ? status_code((u32)status)
                                                         : 128 + status_signal((u32)status));
}

static void wait_for_end(struct keeper *keeper) {
    u64 all = ~0ul;
    siginfo_t info;
    reap(keeper); /* a signal from before may stand for several */
    while (!keeper->ended && host(__NR_getppid) == keeper->of.supervise) {
        long signal = host(__NR_rt_sigtimedwait, &all, &info, 0, sizeof all);
        if (signal == SIGCHLD)
            reap(keeper);
        else if (signal == KEEPER_END)
            return;
        else if (signal > 0)
            host(__NR_kill, keeper->of.program, signal);
    }
}

/* No more rights than it had, and of those only what it needs. */
static long limit_capabilities(void) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    long result = host(__NR_capget, &header, data);
    if (result < 0)
        return result;
    u32 kept = data[0].permitted & CAPABILITIES;
    data[0] = (struct __user_cap_data_struct){.effective = kept, .permitted = kept};
    data[1] = (struct __user_cap_data_struct){.effective = 0};
    return host(__NR_capset, &header, data);
}

static long prepare(void) {
    u64 all = ~0ul;
    host(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
    host(__NR_prctl, PR_SET_NAME, "kw-keeper", 0, 0, 0);
    host(__NR_rt_sigprocmask, SIG_SETMASK, &all, 0, sizeof all);
    long result = host(__NR_prctl, PR_SET_PDEATHSIG, KEEPER_END, 0, 0, 0);
    if (result >= 0)
        result = limit_capabilities();
    return result < 0 ? result : filter_set(FILTER_KEEPER, 0, NULL);
}

_Noreturn void keeper_main(char *const arguments[KEEPER_ARGUMENTS]) {
    u64 values[4] = {0};
    struct keeper keeper = {.of = {.name = arguments[4]}};
    bool valid = true;
    for (u32 i = 0; i < array_size(values); i++)
        valid = valid && parse_decimal(arguments[i], ~0u, &values[i]);
    if (!valid || prepare() < 0)
        host(__NR_exit_group, STATUS_OWN); /* and the program with it */
    keeper.of.program = (int)values[0];
    keeper.of.supervise = (int)values[1];
    wait_for_end(&keeper);
    end_all(&keeper);
    if (keeper.of.name[0] && scratch_become_owner((u32)values[2], (u32)values[3]) >= 0)
        scratch_remove(SCRATCH, keeper.of.name);
    leave(keeper.status);
}
