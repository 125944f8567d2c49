/* The life of a guest thread: enter the guest, serve what made it leave, deliver signals, again. */
#include "base/report.h"
#include "calls/call.h"
#include "machine/machine.h"
#include "process/signal.h"
#include "process/thread.h"

/* Does all there is to do outside the guest. On return the registers are final, RAX included, and
 * whatever comes later finds immediate_exit. */
static void settle(struct thread *thread, long result) {
    for (;;) {
        __atomic_store_n(&thread->vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
        if (thread->work)
            thread_do_work(thread);
        if (thread->signal_pending || thread->has_saved_mask ||
            (thread->in_call && call_restarts(result))) {
            signal_deliver(thread, result);
            thread->in_call = false;
        } else if (thread->in_call) {
            if (result != CALL_NO_RESULT)
                vcpu_regs(thread->vcpu)->rax = (u64)result;
            thread->in_call = false;
            thread->deadline = 0;
        } else if (!thread->work) {
            return;
        }
    }
}

static long serve_call(struct thread *thread) {
    const struct kvm_regs *regs = vcpu_regs(thread->vcpu);
    struct call call = {
        .thread = thread,
        .nr = regs->rax,
        .arg = {regs->rdi, regs->rsi, regs->rdx, regs->r10, regs->r8, regs->r9},
    };
    thread->in_call = true;
    thread->call_nr = call.nr;
    for (u32 i = 0; i < 6; i++)
        thread->call_arg[i] = call.arg[i];
    thread->scratch_used = 0;
    return call_dispatch(&call);
}

_Noreturn void thread_loop(struct thread *thread) {
    long result = 0;
    for (;;) {
        settle(thread, result);
        struct vcpu_fault fault;
        enum vcpu_exit why = vcpu_enter(thread->vcpu, &fault);
        stats_count(exits, 1);
        if (unlikely(thread->precise)) {
            fault_leave_precise(thread);
            thread->fault_precise = true;
        }
        if (likely(why == EXIT_SYSCALL))
            result = serve_call(thread);
        else if (why == EXIT_EXCEPTION)
            fault_serve(thread, &fault);
        else if (why == EXIT_HOST_FAULT)
            fault_serve(thread, NULL);
        thread->fault_precise = false;
    }
}
