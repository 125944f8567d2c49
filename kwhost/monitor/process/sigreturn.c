/* rt_sigreturn: back from a handler to where the signal struck. */
#include <linux/signal.h>

#include "base/text.h"
#include "calls/handlers.h"
#include "process/frame.h"
#include "process/signal.h"

#define LEGACY_SIZE sizeof(struct _fpstate_64)
#define LEAST_XSTATE (LEGACY_SIZE + sizeof(struct _header))
#define LEGACY_FEATURES 3ul

/* Copies the extended state at `address` into area[XSAVE_SIZE]. Sets *wanted to the components it
 * describes: without the marks of an XSAVE area only x87 and SSE. Returns 0 or -EFAULT. */
static long copy_area(u8 *area, gva_t address, u64 *wanted) {
    memset(area, 0, XSAVE_SIZE);
    if (copy_from_guest(area, address, LEGACY_SIZE))
        return -EFAULT;
    struct _fpx_sw_bytes marks = ((struct _fpstate_64 *)area)->sw_reserved;
    *wanted = LEGACY_FEATURES;
    ((struct _xstate *)area)->xstate_hdr.xfeatures = LEGACY_FEATURES;
    if (marks.magic1 != FP_XSTATE_MAGIC1 || marks.xstate_size < LEAST_XSTATE ||
        marks.xstate_size > vcpu_xstate_size() || marks.xstate_size > marks.extended_size)
        return 0;
    u32 magic2;
    if (get_guest(magic2, address + marks.xstate_size))
        return -EFAULT;
    if (magic2 != FP_XSTATE_MAGIC2)
        return 0;
    if (copy_from_guest(area + LEGACY_SIZE, address + LEGACY_SIZE, marks.xstate_size - LEGACY_SIZE))
        return -EFAULT;
    *wanted = marks.xfeatures & vcpu_xfeatures();
    return 0;
}

/* Loads the extended state of a frame. False when the frame is bad. */
static bool restore_area(struct thread *thread, gva_t address) {
    _Alignas(64) u8 area[XSAVE_SIZE];
    u64 wanted;
    if (!address)
        frame_initial_area(area);
    else if (copy_area(area, address, &wanted) || !frame_check_area(area, wanted, vcpu_xfeatures()))
        return false;
    return vcpu_set_xsave(thread->vcpu, area);
}

long sys_rt_sigreturn(struct call *call) {
    struct thread *thread = call->thread;
    struct kvm_regs *regs = vcpu_regs(thread->vcpu);
    struct signal_frame frame;
    /* A signal caught under the handler's mask is delivered under it: the call is made again. */
    if (!signal_hold(thread))
        return -ERESTARTNOINTR;
    if (copy_from_guest(&frame, regs->rsp - 8, sizeof frame)) {
        signal_release(thread);
        signal_bad_frame(thread);
        return CALL_NO_RESULT;
    }
    signal_set_mask(thread, frame.mask);
    if (thread->vcpu->in_ring0)
        vcpu_set_full_context(thread->vcpu); /* SYSRET would not load RCX and R11 */
    if (!frame_load_registers(regs, &frame.context))
        signal_bad_rip(thread, regs->rip);
    if (restore_area(thread, frame.context.fpstate))
        altstack_set(thread, regs->rsp, frame.stack_base, frame.stack_size, frame.stack_flags);
    else
        signal_bad_frame(thread);
    return CALL_NO_RESULT;
}
