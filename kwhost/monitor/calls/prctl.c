/* prctl: an allow-list of options; what would act on the monitor is answered or refused here. */
#include <linux/capability.h>
#include <linux/prctl.h>

#include "calls/call.h"
#include "calls/dispatch.h"
#include "calls/handlers.h"
#include "calls/stats.h"
#include "process/signal.h"
#include "process/thread.h"

/* Newer than the headers of the oldest supported system. */
#define OPTION_SET_VMA 0x53564d41

static long put_u32(gva_t to, u32 value) {
    return put_guest(value, to);
}

/* pid 1's own parent-death signal stays SIGKILL: it ties the instance to its launcher. */
static long set_death_signal(struct call *call) {
    if (!call->thread->process->is_first)
        return host(__NR_prctl, PR_SET_PDEATHSIG, call->arg[1]);
    if (call->arg[1] >= SIGNAL_LIMIT)
        return -EINVAL;
    call->thread->process->pdeath_signal = (u32)call->arg[1];
    return 0;
}

static long get_death_signal(struct call *call) {
    if (!call->thread->process->is_first)
        return host(__NR_prctl, PR_GET_PDEATHSIG, host_pointer(call->arg[1]));
    return put_u32(call->arg[1], call->thread->process->pdeath_signal);
}

static bool is_plain(u32 option) {
    switch (option) {
#define OPTION(name) case name:
#include "calls/prctls.def"
#undef OPTION
        return true;
    default:
        return false;
    }
}

static long refused_option(struct call *call, u32 option) {
    stats_refused(call->nr);
    return option == PR_SET_MM ? -EPERM : -EINVAL;
}

long sys_prctl(struct call *call) {
    struct process *process = call->thread->process;
    u32 option = (u32)call->arg[0];
    const u64 *arg = call->arg;

    if (is_plain(option))
        return host(__NR_prctl, option, arg[1], arg[2], arg[3], arg[4]);
    switch (option) {
    case PR_SET_NAME:
    case PR_GET_NAME:
    case PR_GET_CHILD_SUBREAPER:
        return host(__NR_prctl, option, host_pointer(arg[1]), arg[2], arg[3], arg[4]);
    case PR_SET_PDEATHSIG:
        return set_death_signal(call);
    case PR_GET_PDEATHSIG:
        return get_death_signal(call);
    case PR_GET_DUMPABLE:
        return process->dumpable;
    case PR_SET_DUMPABLE:
        if (arg[1] > 1)
            return -EINVAL;
        process->dumpable = (u32)arg[1];
        return 0;
    case PR_GET_TSC:
        return put_u32(arg[1], PR_TSC_ENABLE);
    case PR_SET_TSC:
        return arg[1] == PR_TSC_ENABLE ? 0 : refused_option(call, option);
    case PR_GET_SECCOMP:
        return 0;
    case OPTION_SET_VMA:
        return 0; /* names of mappings are for tools; none are shown */
    default:
        return refused_option(call, option);
    }
}
