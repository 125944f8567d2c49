/* Calls about the calling thread itself. */
#include <asm/prctl.h>

#include "calls/handlers.h"
#include "process/thread.h"

long sys_exit(struct call *call) {
    thread_exit(call->thread, (int)call->arg[0] & 0xff);
}

long sys_exit_group(struct call *call) {
    process_exit(call->thread, (int)call->arg[0] & 0xff);
}

long sys_set_tid_address(struct call *call) {
    call->thread->clear_child_tid = call->arg[0];
    return call->thread->kernel_tid;
}

#define ROBUST_HEAD_SIZE 24

long sys_set_robust_list(struct call *call) {
    if (call->arg[1] != ROBUST_HEAD_SIZE)
        return -EINVAL;
    call->thread->robust_head = call->arg[0];
    return 0;
}

long sys_get_robust_list(struct call *call) {
    struct process *process = call->thread->process;
    int tid = (int)call->arg[0];
    u64 head = 0, size = ROBUST_HEAD_SIZE;
    bool found = false;
    lock_take(&process->threads_lock);
    for (struct thread *thread = process->threads; thread; thread = thread->next)
        if (tid == 0 ? thread == call->thread : thread->kernel_tid == tid) {
            head = thread->robust_head;
            found = true;
        }
    lock_release(&process->threads_lock);
    if (!found)
        return tid > 0 && host(__NR_kill, tid, 0) == 0 ? -EPERM : -ESRCH;
    if (put_guest(size, call->arg[2]) || put_guest(head, call->arg[1]))
        return -EFAULT;
    return 0;
}

/* Base addresses must be canonical user addresses (Linux: below TASK_SIZE_MAX). */
#define BASE_LIMIT (1ul << 47)

long sys_arch_prctl(struct call *call) {
    struct vcpu *vcpu = call->thread->vcpu;
    u64 value = call->arg[1];
    switch (call->arg[0]) {
    case ARCH_SET_FS:
    case ARCH_SET_GS:
        if (value >= BASE_LIMIT)
            return -EPERM;
        if (call->arg[0] == ARCH_SET_FS)
            vcpu_set_fs_base(vcpu, value);
        else
            vcpu_set_gs_base(vcpu, value);
        return 0;
    case ARCH_GET_FS:
    case ARCH_GET_GS:
        value = call->arg[0] == ARCH_GET_FS ? vcpu_fs_base(vcpu) : vcpu_gs_base(vcpu);
        return put_guest(value, call->arg[1]);
    default: /* CPUID faulting, AMX permission, shadow stacks: not offered */
        return -EINVAL;
    }
}
