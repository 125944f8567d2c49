/* Virtual CPUs: entering the guest, leaving it, and its registers. */
#ifndef KW_MACHINE_VCPU_H
#define KW_MACHINE_VCPU_H

#include <linux/kvm.h>

#include "base/types.h"

struct vcpu {
    int fd;
    u32 id;
    struct kvm_run *run; /* mapped MADV_DONTFORK */
    struct vcpu *next_idle;
    bool stale;           /* system registers must be written in full before entering */
    bool in_ring0;        /* stands in ring 0 behind the entry code's `out` (hardware-style KVM) */
    u32 cpu;              /* host CPU and node number that GDT entry 15 and TSC_AUX hold */
    u64 entry_rip;        /* where it stands then */
    u64 fs_base, gs_base; /* to be written when `stale` */
    u64 tables;           /* top-level page table other than the coarse one; 0: the coarse one */
    void *page;           /* GDT, TSS and ring 0 stack */
};

/* Why the guest was left. */
enum vcpu_exit {
    EXIT_SYSCALL,    /* registers are as after the SYSCALL instruction, RAX still the call number */
    EXIT_EXCEPTION,  /* struct vcpu_fault says which */
    EXIT_INTERRUPT,  /* a host signal or immediate_exit; the guest made progress or not */
    EXIT_HOST_FAULT, /* KVM could not reach a page (no address known); see fault.h */
};

struct vcpu_fault {
    u32 vector;    /* 0 to 31 */
    u64 error;     /* error code, 0 where the exception has none */
    gva_t address; /* CR2 of a page fault */
};

/* The guest's general registers, valid between exits; rip and rflags are the program's own,
 * whatever ring the vCPU stands in. Writing them is enough: they are loaded at the next entry. */
static inline struct kvm_regs *vcpu_regs(struct vcpu *vcpu) {
    return (struct kvm_regs *)&vcpu->run->s.regs.regs;
}

/* Runs the guest until it leaves. Aborts the process when KVM fails for good. */
enum vcpu_exit vcpu_enter(struct vcpu *vcpu, struct vcpu_fault *fault);

/* Makes the next entry load every register as it stands (also RCX and R11, which a return from a
 * system call clobbers): after rt_sigreturn and for new threads. */
void vcpu_set_full_context(struct vcpu *vcpu);

u64 vcpu_fs_base(struct vcpu *vcpu);
u64 vcpu_gs_base(struct vcpu *vcpu);
void vcpu_set_fs_base(struct vcpu *vcpu, u64 base);
void vcpu_set_gs_base(struct vcpu *vcpu, u64 base);

/* The XSAVE area in the standard (not compacted) format, as in a signal frame. */
#define XSAVE_SIZE 4096
void vcpu_get_xsave(struct vcpu *vcpu, void *area);
/* Returns false when the processor refuses the area; nothing was changed then. */
bool vcpu_set_xsave(struct vcpu *vcpu, const void *area);
u64 vcpu_xfeatures(void);   /* XCR0 of the guest */
u32 vcpu_xstate_size(void); /* bytes of the area in use for that XCR0 */

#endif
