/* The signal frame of Linux on x86-64, built on the guest's stack and read back by rt_sigreturn. */
#ifndef KW_PROCESS_FRAME_H
#define KW_PROCESS_FRAME_H

#include <asm/sigcontext.h>
#include <asm/siginfo.h>

#include "process/thread.h"

struct signal_frame {
    u64 return_address; /* sa_restorer */
    u64 flags, link;    /* struct ucontext from here */
    u64 stack_base;
    u32 stack_flags, stack_padding;
    u64 stack_size;
    struct sigcontext_64 context;
    u64 mask;
    siginfo_t info;
};
_Static_assert(sizeof(struct signal_frame) == 440, "the frame is the kernel's ABI");
_Static_assert(offsetof(struct signal_frame, mask) == 304, "the frame is the kernel's ABI");

/* Writes the frame for `signal` on the stack its action asks for and points the registers at the
 * handler. `mask` is the one to restore on return. Returns 0, or -EFAULT when the frame cannot be
 * written: registers are unchanged then. */
long frame_push(struct thread *thread, int signal, const struct guest_action *action,
                const siginfo_t *info, u64 mask);

/* The general registers out of a frame, with what the guest must not choose left as it is. False
 * when RIP is no user address: it is loaded all the same and must not reach the vCPU. */
bool frame_load_registers(struct kvm_regs *regs, const struct sigcontext_64 *context);

/* Checks and completes an XSAVE area of XSAVE_SIZE bytes that a program wrote, as XRSTOR would with
 * the components in `wanted`. `supported` is XCR0. False when XRSTOR would fault. */
bool frame_check_area(u8 *area, u64 wanted, u64 supported);

/* Makes the area hold the initial state of x87 and SSE, and of everything else. */
void frame_initial_area(u8 *area);

#endif
