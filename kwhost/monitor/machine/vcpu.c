/* Entering and leaving the guest. */
#include "machine/vcpu.h"

#include <linux/errno.h>
#include <linux/resource.h>

#include "base/host.h"
#include "base/text.h"
#include "machine/kvm.h"
#include "machine/layout.h"
#include "machine/paging.h"
#include "machine/setup.h"

/* RFLAGS a program may choose: CF PF AF ZF SF TF DF OF, RF, AC, ID; never IOPL, NT, VM, VIF, VIP.
 */
#define RFLAGS_USER 0x250dd5ul
#define RFLAGS_FIXED 0x202ul /* bit 1, and IF: interrupts are the host's affair */
#define USER_LIMIT (1ul << 47)
#define KERNEL_HALF 0xffff800000000000ul

static u64 vcpu_page_address(const struct vcpu *vcpu) {
    return KERNEL_VCPU + (u64)vcpu->id * PAGE_SIZE;
}

/* The host CPU and node this thread runs on, as LSL reads it from the host's own GDT. */
static u32 host_cpu(void) {
    u32 limit;
    __asm__ volatile("lsl %1, %0" : "=r"(limit) : "r"((u32)SELECTOR_CPU));
    return limit;
}

/* The host's move of a thread to another CPU becomes visible to getcpu in the guest. */
static void refresh_cpu(struct vcpu *vcpu) {
    u32 cpu = host_cpu();
    if (likely(cpu == vcpu->cpu))
        return;
    vcpu->cpu = cpu;
    vcpu_load_cpu_number(vcpu);
}

/* Turns what the guest program's registers should be into what the vCPU has to hold. */
static void load_registers(struct vcpu *vcpu) {
    struct kvm_regs *regs = vcpu_regs(vcpu);
    regs->rflags = (regs->rflags & RFLAGS_USER) | RFLAGS_FIXED;
    if (vcpu->stale) {
        vcpu_load_system(vcpu);
        vcpu->in_ring0 = false;
    } else if (vcpu->in_ring0) {
        /* The entry code's SYSRET does the way back. */
        regs->rcx = regs->rip;
        regs->r11 = regs->rflags;
        regs->rip = vcpu->entry_rip;
        regs->rflags = 2;
    }
    vcpu->run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
}

/* Standing in the entry code means: right behind a SYSCALL. The program's view of that. */
static bool leave_entry_code(struct vcpu *vcpu) {
    struct kvm_regs *regs = vcpu_regs(vcpu);
    if (regs->rip - KERNEL_ENTRY >= PAGE_SIZE) {
        vcpu->in_ring0 = false; /* it came back to the program since the last SYSCALL */
        return false;
    }
    vcpu->in_ring0 = machine.landing == LANDING_RING0;
    vcpu->entry_rip = regs->rip;
    regs->rip = regs->rcx;
    regs->rflags = regs->r11;
    return true;
}

/* What the processor pushed on the ring 0 stack (SDM 3, 6.14.2). */
struct exception_frame {
    u64 rip, cs, rflags, rsp, ss;
};

static bool has_error_code(u32 vector) {
    return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21;
}

static void read_exception(struct vcpu *vcpu, struct vcpu_fault *fault) {
    struct kvm_regs *regs = vcpu_regs(vcpu);
    fault->vector = (u32)((regs->rip - KERNEL_STUBS) / STUB_SIZE) & 31;
    u64 size = sizeof(struct exception_frame) + (has_error_code(fault->vector) ? 8 : 0);
    u64 offset = regs->rsp - vcpu_page_address(vcpu);
    if (offset > PAGE_SIZE - size)
        machine_broken(vcpu, "the ring 0 stack is not where it should be");
    const u8 *stack = (const u8 *)vcpu->page + offset;
    fault->error = 0;
    if (has_error_code(fault->vector)) {
        memcpy(&fault->error, stack, 8);
        stack += 8;
    }
    struct exception_frame frame;
    memcpy(&frame, stack, sizeof frame);
    if ((frame.cs & 3) != 3)
        machine_broken(vcpu, "an exception in ring 0");
    regs->rip = frame.rip;
    regs->rsp = frame.rsp;
    regs->rflags = frame.rflags;
    fault->address = fault->vector == 14 ? vcpu_fault_address(vcpu) : 0;
    vcpu_set_full_context(vcpu);
}

#define ENTRY_OUT_LENGTH 2 /* of the `out` that begins the entry code */

/* A host signal ended KVM_RUN. Between a SYSCALL or an exception and the `out` that tells of it the
 * guest is already past its instruction: that exit must not be lost. */
static enum vcpu_exit leave_interrupted(struct vcpu *vcpu, struct vcpu_fault *fault) {
    u64 rip = vcpu_regs(vcpu)->rip;
    /* A program in ring 3 can jump there too, on its way to a page fault. */
    if (rip - KERNEL_STUBS < PAGE_SIZE && vcpu_ring(vcpu) == 0) {
        read_exception(vcpu, fault);
        return EXIT_EXCEPTION;
    }
    if (!leave_entry_code(vcpu) || rip != KERNEL_ENTRY)
        return EXIT_INTERRUPT;
    vcpu->entry_rip = KERNEL_ENTRY + ENTRY_OUT_LENGTH;
    return EXIT_SYSCALL;
}

/* Ways into the entry code that are no system call of a 64-bit program. */
static enum vcpu_exit protection_fault(struct vcpu *vcpu, struct vcpu_fault *fault) {
    *fault = (struct vcpu_fault){.vector = 13};
    struct kvm_regs regs = *vcpu_regs(vcpu);
    regs.rip &= USER_LIMIT - 1;
    /* KVM finishes the access with registers of its own at the next entry: have that behind us. */
    vcpu->run->immediate_exit = 1;
    vcpu->run->kvm_dirty_regs = 0;
    host(__NR_ioctl, vcpu->fd, KVM_RUN, 0);
    *vcpu_regs(vcpu) = regs;
    vcpu_set_full_context(vcpu);
    return EXIT_EXCEPTION;
}

/* A VM's first run adds a worker thread of KVM's to the process, which RLIMIT_NPROC may forbid. */
static long run_with_worker(struct vcpu *vcpu) {
    struct rlimit64 limit = {0, 0}, raised;
    host(__NR_prlimit64, 0, RLIMIT_NPROC, 0, &limit);
    raised = (struct rlimit64){limit.rlim_max, limit.rlim_max};
    host(__NR_prlimit64, 0, RLIMIT_NPROC, &raised, 0);
    long result = -EAGAIN;
    for (u32 attempt = 0; attempt < 100 && result == -EAGAIN; attempt++)
        result = host(__NR_ioctl, vcpu->fd, KVM_RUN, 0);
    host(__NR_prlimit64, 0, RLIMIT_NPROC, &limit, 0);
    if (result == -EAGAIN)
        machine_broken(vcpu, "no room for KVM's worker thread: raise the limit on processes");
    return result;
}

static long run_vcpu(struct vcpu *vcpu) {
    long result = host(__NR_ioctl, vcpu->fd, KVM_RUN, 0);
    return likely(result != -EAGAIN) ? result : run_with_worker(vcpu);
}

enum vcpu_exit vcpu_enter(struct vcpu *vcpu, struct vcpu_fault *fault) {
    /* KVM must never be given an address that is not canonical. Whatever loads registers sees to
     * it; what is left are jumps into the entry page at odd moments. */
    if (unlikely(vcpu_regs(vcpu)->rip - USER_LIMIT < KERNEL_HALF - USER_LIMIT))
        return protection_fault(vcpu, fault);
    refresh_cpu(vcpu);
    load_registers(vcpu);
    long result = run_vcpu(vcpu);
    struct kvm_run *run = vcpu->run;
    if (likely(result == 0 && run->exit_reason == KVM_EXIT_IO)) {
        if (likely(run->io.port == PORT_SYSCALL) && leave_entry_code(vcpu)) {
            if (likely(vcpu_regs(vcpu)->rip < USER_LIMIT))
                return EXIT_SYSCALL;
            return protection_fault(vcpu, fault); /* the program jumped into the entry page */
        }
        if (run->io.port == PORT_COMPAT && leave_entry_code(vcpu))
            return protection_fault(vcpu, fault);
        if (run->io.port == PORT_EXCEPTION && vcpu_regs(vcpu)->rip - KERNEL_STUBS < PAGE_SIZE) {
            read_exception(vcpu, fault);
            return EXIT_EXCEPTION;
        }
        if (machine.landing == LANDING_RING3 && run->io.port == PORT_SYSCALL)
            return protection_fault(vcpu, fault); /* the program's own `in` or `out` */
        machine_broken(vcpu, "an unexpected port access");
    }
    if (result == -EINTR || (result == 0 && run->exit_reason == KVM_EXIT_INTR)) {
        return leave_interrupted(vcpu, fault);
    }
    if (result == -EFAULT || (result == 0 && run->exit_reason == KVM_EXIT_MMIO)) {
        leave_entry_code(vcpu);
        return EXIT_HOST_FAULT;
    }
    machine_broken(vcpu, "KVM_RUN failed");
}

void vcpu_set_full_context(struct vcpu *vcpu) {
    if (vcpu->stale)
        return;
    vcpu_save_bases(vcpu);
    vcpu->stale = true;
}

u64 vcpu_fs_base(struct vcpu *vcpu) {
    if (!vcpu->stale)
        vcpu_save_bases(vcpu);
    return vcpu->fs_base;
}

u64 vcpu_gs_base(struct vcpu *vcpu) {
    if (!vcpu->stale)
        vcpu_save_bases(vcpu);
    return vcpu->gs_base;
}

void vcpu_set_fs_base(struct vcpu *vcpu, u64 base) {
    vcpu_store_bases(vcpu, base, vcpu_gs_base(vcpu));
}

void vcpu_set_gs_base(struct vcpu *vcpu, u64 base) {
    vcpu_store_bases(vcpu, vcpu_fs_base(vcpu), base);
}

enum syscall_landing vcpu_probe_landing(struct vcpu *vcpu) {
    vcpu_load_system(vcpu);
    vcpu->run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
    vcpu_regs(vcpu)->rflags = RFLAGS_FIXED;
    long result;
    do
        result = host(__NR_ioctl, vcpu->fd, KVM_RUN, 0);
    while (result == -EINTR);
    vcpu->stale = true;
    if (result || vcpu->run->exit_reason != KVM_EXIT_IO || vcpu->run->io.port != PORT_SYSCALL)
        return LANDING_UNKNOWN;
    return vcpu_ring(vcpu) == 3 ? LANDING_RING3 : LANDING_RING0;
}
