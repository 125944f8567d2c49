/* Guest exceptions, and pages that KVM could not reach, become what Linux would make of them. */
#include <asm-generic/siginfo.h>
#include <linux/mman.h>

#include "base/host.h"
#include "base/report.h"
#include "base/text.h"
#include "calls/call.h"
#include "machine/machine.h"
#include "machine/paging.h"
#include "mm/space.h"
#include "process/signal.h"
#include "process/thread.h"

#define FAULT_WRITE 2u /* page fault error code (SDM 3, 4.7) */
#define FAULT_USER 4u
#define FAULT_FETCH 16u
#define FAULT_KEY 32u /* protection keys: software KVM leaves WRPKRU to programs */
#define TASK_LIMIT ((1ul << 47) - PAGE_SIZE) /* Linux' TASK_SIZE_MAX */
#define VECTOR_PAGE_FAULT 14

/* A page that a fault under the precise tables named, and that turned out to be there: it joins the
 * tables of the next attempt at the same instruction. */
static void remember_page(struct thread *thread, gva_t page) {
    u64 rip = vcpu_regs(thread->vcpu)->rip;
    if (thread->fault_rip != rip)
        thread->fault_count = 0;
    thread->fault_rip = rip;
    thread->fault_pages[thread->fault_count++ % array_size(thread->fault_pages)] = page;
}

void fault_leave_precise(struct thread *thread) {
    thread->precise = false;
    vcpu_use_tables(thread->vcpu, 0);
    __atomic_fetch_sub(&precise_users, 1, __ATOMIC_SEQ_CST);
}

/* Precise tables for this thread. When their pages run out, all threads are stopped for a moment:
 * that brings them back to the coarse tables, and the pages can be used again. */
static gpa_t make_precise_tables(struct thread *thread, u32 known) {
    bool stop = table_scratch_low() && thread->process->thread_count > 1;
    if (stop)
        process_park(thread);
    gpa_t top = space_precise_tables(thread->fault_pages, known);
    if (stop)
        process_unpark(thread);
    return top;
}

/* Runs the instruction again under tables that name the address. */
static void run_precisely(struct thread *thread) {
    u32 known = 0;
    if (thread->fault_rip == vcpu_regs(thread->vcpu)->rip)
        known = (u32)min_u64(thread->fault_count, array_size(thread->fault_pages));
    gpa_t top = make_precise_tables(thread, known);
    if (!top) {
        signal_fault(thread, SIGBUS, BUS_ADRERR, 0, VECTOR_PAGE_FAULT, 0);
        return;
    }
    thread->precise = true;
    vcpu_use_tables(thread->vcpu, top);
}

static bool access_allowed(const struct mapping *mapping, u64 error) {
    if (error & FAULT_WRITE)
        return mapping->prot & PROT_WRITE;
    if (error & FAULT_FETCH)
        return mapping->prot & PROT_EXEC;
    return mapping->prot != PROT_NONE;
}

/* The error code that Linux reports for `error` of a user access (X86_PF_PROT, WRITE, USER, INSTR).
 */
static u64 report(gva_t address, u64 error, const struct mapping *mapping) {
    u8 resident = address >= TASK_LIMIT && address < TASK_LIMIT + PAGE_SIZE;
    if (mapping && mapping->prot != PROT_NONE && mapping->kind < MAPPING_VDSO)
        host(__NR_mincore, WINDOW_BASE + page_down(address), PAGE_SIZE, &resident);
    return (error & (FAULT_WRITE | FAULT_FETCH)) | FAULT_USER | (resident & 1u);
}

static void page_fault(struct thread *thread, gva_t address, u64 error) {
    struct mapping mapping;
    if (space_grow_stack(address, thread->process->rlimits[RLIMIT_STACK].rlim_cur))
        return;
    if (address >= WINDOW_SIZE || !space_find(address, &mapping)) {
        signal_fault(thread, SIGSEGV, SEGV_MAPERR, address, VECTOR_PAGE_FAULT,
                     report(address, error, NULL));
        return;
    }
    if (!access_allowed(&mapping, error)) {
        signal_fault(thread, SIGSEGV, SEGV_ACCERR, address, VECTOR_PAGE_FAULT,
                     report(address, error, &mapping));
        return;
    }
    if (error & FAULT_KEY) { /* trying again would go on for ever */
        signal_fault(thread, SIGSEGV, SEGV_PKUERR, address, VECTOR_PAGE_FAULT,
                     report(address, error, &mapping));
        return;
    }
    if (space_back_page(address))
        return;
    if (error & FAULT_FETCH) {
        space_lock_all(); /* a block that was made executable meanwhile */
        space_allow_execute(page_down(address), page_down(address) + PAGE_SIZE);
        space_unlock_all();
    }
    bool write = error & FAULT_WRITE;
    if (mapping.kind >= MAPPING_VDSO || touch_guest(address, write) == 0)
        remember_page(thread, page_down(address));
    else if (space_lacks_page(address, write))
        signal_fault(thread, SIGBUS, BUS_ADRERR, address, VECTOR_PAGE_FAULT,
                     report(address, error, NULL));
    /* Else another thread had changed the mapping meanwhile: the instruction tries again. */
}

/* si_code of a floating-point exception, from the unmasked flags (Linux fpu__exception_code). */
static int float_code(u32 flags) {
    if (flags & 1)
        return FPE_FLTINV;
    if (flags & 4)
        return FPE_FLTDIV;
    if (flags & 8)
        return FPE_FLTOVF;
    if (flags & 0x12)
        return FPE_FLTUND;
    return flags & 0x20 ? FPE_FLTRES : FPE_FLTINV;
}

static int float_exception_code(struct thread *thread, u32 vector) {
    void *area = scratch_take(thread, XSAVE_SIZE);
    if (!area)
        return FPE_FLTINV;
    vcpu_get_xsave(thread->vcpu, area);
    u16 control, status;
    u32 mxcsr;
    memcpy(&control, area, 2);
    memcpy(&status, (u8 *)area + 2, 2);
    memcpy(&mxcsr, (u8 *)area + 24, 4);
    return float_code(vector == 16 ? (u32)(status & ~control & 0x3f)
                                   : mxcsr & ~(mxcsr >> 7) & 0x3f);
}

/* Whether the instruction at `rip` is `int number`. */
static bool is_interrupt(gva_t rip, u8 *number) {
    u8 code[2];
    if (copy_from_guest(code, rip, sizeof code) || code[0] != 0xcd)
        return false;
    *number = code[1];
    return true;
}

static void exception(struct thread *thread, const struct vcpu_fault *fault) {
    gva_t rip = vcpu_regs(thread->vcpu)->rip;
    u32 vector = fault->vector;
    u8 number;
    switch (vector) {
    case 0:
        signal_fault(thread, SIGFPE, FPE_INTDIV, rip, vector, 0);
        return;
    case 1:
        signal_fault(thread, SIGTRAP, TRAP_TRACE, rip, vector, 0);
        return;
    case 3:
        signal_fault(thread, SIGTRAP, SI_KERNEL, 0, vector, 0);
        return;
    case 6:
        if (is_interrupt(rip, &number)) { /* software KVM reports `int n` as undefined */
            signal_fault(thread, SIGSEGV, SI_KERNEL, 0, 13, (u64)number << 3 | 2);
            return;
        }
        signal_fault(thread, SIGILL, ILL_ILLOPN, rip, vector, 0);
        return;
    case 11:
    case 12:
        signal_fault(thread, SIGBUS, SI_KERNEL, 0, vector, fault->error);
        return;
    case 16:
    case 19:
        signal_fault(thread, SIGFPE, float_exception_code(thread, vector), rip, vector, 0);
        return;
    case 17:
        signal_fault(thread, SIGBUS, BUS_ADRALN, 0, vector, fault->error);
        return;
    default: /* general protection and what else only a program in error can raise */
        signal_fault(thread, SIGSEGV, SI_KERNEL, 0, vector, fault->error);
        return;
    }
}

void fault_serve(struct thread *thread, const struct vcpu_fault *fault) {
    stats_count(faults, 1);
    thread->scratch_used = 0;
    if (!fault && !thread->fault_precise)
        run_precisely(thread);
    else if (!fault) /* present by all we know, and yet unreachable: memory that failed */
        signal_fault(thread, SIGBUS, BUS_ADRERR, 0, VECTOR_PAGE_FAULT, 0);
    else if (fault->vector == VECTOR_PAGE_FAULT)
        page_fault(thread, fault->address, fault->error);
    else
        exception(thread, fault);
}
