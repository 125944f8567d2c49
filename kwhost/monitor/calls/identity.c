/* Credentials: the host thread's own, inside the instance's user namespace. */
#include <linux/prctl.h>
#include <asm/signal.h>

#include "calls/call.h"
#include "calls/handlers.h"
#include "process/thread.h"

/* The kernel forgets the parent-death signal and decides anew about dumpability when ids change. */
static void credentials_changed(struct thread *thread) {
    if (thread->process->is_first)
        host(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL);
    host(__NR_prctl, PR_SET_DUMPABLE, 0);
}

/* setuid and its relatives, and capset. */
long set_identity(struct call *call) {
    struct thread *thread = call->thread;
    u32 uid = (u32)host(__NR_geteuid), gid = (u32)host(__NR_getegid);
    long result = call_forward(call);

    if (result < 0)
        return result;
    credentials_changed(thread);
    if (uid != (u32)host(__NR_geteuid) || gid != (u32)host(__NR_getegid)) {
        thread->process->dumpable = 0; /* as fs.suid_dumpable = 0 has it */
        if (thread->process->is_first)
            thread->process->pdeath_signal = 0;
    }
    return result;
}
