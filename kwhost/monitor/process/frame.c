#include "process/frame.h"

#include <linux/signal.h>
#include <asm/ucontext.h>

#include "base/text.h"
#include "mm/window.h"
#include "process/signal.h"

#define RED_ZONE 128
#define SELECTOR_USER_CS 0x33
#define SELECTOR_USER_SS 0x2b
#define RFLAGS_TF 0x100ul
#define RFLAGS_DF 0x400ul
#define RFLAGS_RF 0x10000ul

/* The guest's stack pointer inside a handler for that action when it is interrupted at `sp`; 0 when
 * the alternate stack would overflow. *area is where the XSAVE area goes. */
static gva_t place_frame(const struct thread *thread, u64 action_flags, gva_t sp, u32 area_size,
                         gva_t *area) {
    bool nested = altstack_state(thread, sp) == SS_ONSTACK, entering = false;
    sp -= RED_ZONE;
    if ((action_flags & SA_ONSTACK) && altstack_state(thread, sp) == 0) {
        sp = thread->altstack_base + thread->altstack_size;
        entering = true;
    }
    sp = (sp - area_size) & ~63ul;
    *area = sp;
    sp = ((sp - sizeof(struct signal_frame)) & ~15ul) - 8;
    bool inside = sp > thread->altstack_base && sp - thread->altstack_base <= thread->altstack_size;
    return (nested || entering) && !inside ? 0 : sp;
}

static void save_registers(struct sigcontext_64 *to, const struct kvm_regs *regs) {
    to->r8 = regs->r8;
    to->r9 = regs->r9;
    to->r10 = regs->r10;
    to->r11 = regs->r11;
    to->r12 = regs->r12;
    to->r13 = regs->r13;
    to->r14 = regs->r14;
    to->r15 = regs->r15;
    to->di = regs->rdi;
    to->si = regs->rsi;
    to->bp = regs->rbp;
    to->bx = regs->rbx;
    to->dx = regs->rdx;
    to->ax = regs->rax;
    to->cx = regs->rcx;
    to->sp = regs->rsp;
    to->ip = regs->rip;
    to->flags = regs->rflags;
    to->cs = SELECTOR_USER_CS;
    to->ss = SELECTOR_USER_SS;
}

/* Writes the vCPU's extended state at `address`, marked as Linux marks it. */
static long save_area(struct thread *thread, gva_t address) {
    _Alignas(64) u8 area[XSAVE_SIZE + FP_XSTATE_MAGIC2_SIZE];
    u32 size = vcpu_xstate_size();
    vcpu_get_xsave(thread->vcpu, area);
    struct _xstate *state = (struct _xstate *)area;
    state->fpstate.sw_reserved = (struct _fpx_sw_bytes){
        .magic1 = FP_XSTATE_MAGIC1,
        .extended_size = size + (u32)FP_XSTATE_MAGIC2_SIZE,
        .xfeatures = vcpu_xfeatures(),
        .xstate_size = size,
    };
    state->xstate_hdr.xfeatures |= 3; /* x87 and SSE are always there, as in Linux */
    u32 magic2 = FP_XSTATE_MAGIC2;
    memcpy(area + size, &magic2, sizeof magic2);
    return copy_to_guest(address, area, size + sizeof magic2);
}

static void initialise_area(struct thread *thread) {
    _Alignas(64) u8 area[XSAVE_SIZE];
    frame_initial_area(area);
    vcpu_set_xsave(thread->vcpu, area);
}

long frame_push(struct thread *thread, int signal, const struct guest_action *action,
                const siginfo_t *info, u64 mask) {
    struct kvm_regs *regs = vcpu_regs(thread->vcpu);
    gva_t area;
    u32 area_size = vcpu_xstate_size() + (u32)FP_XSTATE_MAGIC2_SIZE;
    gva_t sp = place_frame(thread, action->flags, regs->rsp, area_size, &area);
    /* A 64-bit program without a restorer cannot come back: Linux refuses it too. */
    if (!sp || !(action->flags & SA_RESTORER))
        return -EFAULT;

    struct signal_frame frame;
    memset(&frame, 0, sizeof frame);
    frame.return_address = action->restorer;
    frame.flags = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
    frame.stack_base = thread->altstack_base;
    frame.stack_flags = thread->altstack_flags;
    frame.stack_size = thread->altstack_size;
    save_registers(&frame.context, regs);
    frame.context.err = thread->fault_error;
    frame.context.trapno = thread->fault_trap;
    frame.context.cr2 = thread->fault_address;
    frame.context.oldmask = mask;
    frame.context.fpstate = area;
    frame.mask = mask;
    frame.info = *info;
    if (save_area(thread, area) || copy_to_guest(sp, &frame, sizeof frame))
        return -EFAULT;

    if (thread->altstack_flags & SS_AUTODISARM) {
        thread->altstack_base = 0;
        thread->altstack_size = 0;
        thread->altstack_flags = SS_DISABLE;
    }
    regs->rdi = (u64)signal;
    regs->rsi = sp + offsetof(struct signal_frame, info);
    regs->rdx = sp + offsetof(struct signal_frame, flags);
    regs->rax = 0;
    regs->rsp = sp;
    regs->rip = action->handler;
    regs->rflags &= ~(RFLAGS_TF | RFLAGS_DF | RFLAGS_RF);
    initialise_area(thread);
    return 0;
}
