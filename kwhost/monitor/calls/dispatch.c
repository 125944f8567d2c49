#include "calls/call.h"
#include "calls/dispatch.h"
#include "calls/handlers.h"
#include "calls/interruptible.h"
#include "process/permit.h"
#include "calls/stats.h"
#include "process/exec.h"
#include "process/question.h"
#include "process/thread.h"
#include "procfs/procfs.h"

bool guest_fd_ok(u64 fd) {
    return (s32)fd < (s32)own_fd_base();
}

long host_interruptible(struct thread *thread, long nr, const u64 arg[6]) {
    return interruptible_call(&thread->signal_pending, &thread->work, nr, arg);
}

long interrupted(struct thread *thread, enum call_restart restart, long result) {
    if (result != -EINTR)
        return result;
    /* Kicked for the monitor's own reasons: the guest must not notice. */
    if (!thread->signal_pending && thread->work)
        return -ERESTARTNOINTR;
    if (restart == RESTART_SYS)
        return -ERESTARTSYS;
    if (restart == RESTART_NOHAND)
        return -ERESTARTNOHAND;
    return -EINTR;
}

long make_host_call(struct call *call, const struct call_entry *entry,
                    const struct host_args *args) {
    const u64 *value = args->value;
    long result;

    if (entry->restart == RESTART_NONE)
        result = host6((long)call->nr, (long)value[0], (long)value[1], (long)value[2],
                       (long)value[3], (long)value[4], (long)value[5]);
    else
        result = host_interruptible(call->thread, (long)call->nr, value);
    if (unlikely(result == -EISDIR || result == -EBADF))
        result = procfs_memory_call(call, result);
    return interrupted(call->thread, entry->restart, result);
}

long call_forward(struct call *call) {
    const struct call_entry *entry = &call_table[call->nr];
    struct host_args args;
    long failed = translate_args(call, entry, &args);

    return failed ? failed : make_host_call(call, entry, &args);
}

/* Sets *refused when it is the call's class that answers. */
static long serve(struct call *call, const struct call_entry *entry, bool *refused) {
    switch ((enum call_class)entry->class) {
    case CALL_SERVED:
    case CALL_BROKERED:
    case CALL_FORWARDED:
        return entry->handler(call);
    case CALL_REFUSED:
        *refused = true;
        return -(long)entry->refusal;
    case CALL_UNKNOWN:
    default:
        *refused = true;
        return -ENOSYS;
    }
}

/* By its number, its arguments and how often it is made. */
static long judge(struct call *call) {
    long result;
    do
        result = permit_call(call->thread, call->nr, call->arg);
    while (question_settle(call->thread, &result));
    return result;
}

long call_dispatch(struct call *call) {
    static const struct call_entry unknown = {.class = CALL_UNKNOWN};
    u64 began = stats_ticks();
    const struct call_entry *entry;
    bool refused = false;
    long result = 0;

    call->nr = (u32)call->nr; /* the kernel does not look at the upper half of RAX */
    entry = call->nr < CALL_LIMIT ? &call_table[call->nr] : &unknown;
    stats_begin(call->nr);
    if (unlikely(policy_looks_at(call->nr)))
        result = judge(call);
    if (likely(!result))
        do {
            call->thread->scratch_used = 0;
            result = serve(call, entry, &refused);
        } while (unlikely(question_settle(call->thread, &result)));
    if (unlikely(call->thread->answer_count))
        question_forget(call->thread, result);
    if (unlikely(result == -EDQUOT)) /* that of a volume is its size; guests know no quotas */
        result = -ENOSPC;
    stats_end(call->nr, began, result, refused);
    return result;
}
