/* Calls that fit nowhere else. */
#include <linux/membarrier.h>
#include <linux/personality.h>

#include "calls/call.h"
#include "calls/handlers.h"
#include "calls/stats.h"
#include "process/thread.h"

/* Address randomisation is the monitor's affair: switching it off is accepted without effect. */
long sys_personality(struct call *call) {
    struct process *process = call->thread->process;
    u32 wanted = (u32)call->arg[0], old = process->personality;

    if (wanted == 0xffffffff)
        return old;
    if (wanted & ~(u32)ADDR_NO_RANDOMIZE) {
        stats_refused(call->nr);
        return -EINVAL;
    }
    process->personality = wanted;
    return old;
}

#define RSEQ_COMMANDS                                                                              \
    (MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ)

/* The barriers act on the host threads that run the vCPUs: leaving the guest is a barrier too. */
long sys_membarrier(struct call *call) {
    u32 command = (u32)call->arg[0];
    long result;

    if (command & RSEQ_COMMANDS) {
        stats_refused(call->nr);
        return -EINVAL;
    }
    result = host(__NR_membarrier, command, (u32)call->arg[1], (u32)call->arg[2]);
    if (command == MEMBARRIER_CMD_QUERY && result > 0)
        result &= ~(long)RSEQ_COMMANDS;
    return result;
}
