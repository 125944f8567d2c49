#include "machine/setup.h"

#include <linux/errno.h>
#include <linux/mman.h>

#include "base/host.h"
#include "base/text.h"
#include "machine/kvm.h"
#include "machine/layout.h"
#include "machine/paging.h"

#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_CSTAR 0xc0000083
#define MSR_SYSCALL_MASK 0xc0000084
#define MSR_TSC_AUX 0xc0000103

#define CR0_VALUE 0x80050033ul /* PG, AM, WP, NE, ET, MP, PE */
#define CR4_PAE (1ul << 5)
#define CR4_OSFXSR (1ul << 9)
#define CR4_OSXMMEXCPT (1ul << 10)
#define CR4_UMIP (1ul << 11)
#define CR4_FSGSBASE (1ul << 16)
#define CR4_OSXSAVE (1ul << 18)
#define CR4_SMEP (1ul << 20)
#define CR4_SMAP (1ul << 21)
#define XSAVE_FEATURES_AT 512  /* XSTATE_BV, first word of the XSAVE header */
#define EFER_VALUE 0xd01ul     /* NXE, LMA, LME, SCE */
#define SYSCALL_MASK 0x47700ul /* AC, NT, IOPL.., DF, IF, TF: what Linux clears */

/* State components offered to programs: x87, SSE, AVX and AVX-512. AMX needs permission by
 * arch_prctl and larger frames; protection keys are refused. */
#define XCR0_OFFERED 0xe7ul

/* What the processor and KVM offer, found out once per address space (kept over fork). */
static struct {
    bool known, tsc_is_host;
    u64 xcr0, cr4;
    u32 xstate_size;
    struct {
        struct kvm_cpuid2 head;
        struct kvm_cpuid_entry2 entries[128];
    } cpuid;
} cpu;

static struct kvm_cpuid_entry2 *cpuid_entry(u32 function, u32 index) {
    for (u32 i = 0; i < cpu.cpuid.head.nent; i++) {
        struct kvm_cpuid_entry2 *entry = &cpu.cpuid.entries[i];
        if (entry->function == function && entry->index == index)
            return entry;
    }
    return NULL;
}

static u64 host_xcr0(void) {
    u32 low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (u64)high << 32 | low;
}

static void choose_xstate(const struct kvm_cpuid_entry2 *features) {
    struct kvm_cpuid_entry2 *state = cpuid_entry(0xd, 0);
    cpu.xstate_size = 576; /* legacy area and header */
    if (!state)
        return;
    /* Software KVM says no XSAVE, and yet programs use it (their CPUID and XCR0 are the host's) and
     * KVM keeps the state that leaf 0xd names. */
    if (features && (features->ecx & (1u << 26)))
        cpu.cr4 |= CR4_OSXSAVE;
    cpu.xcr0 = ((u64)state->edx << 32 | state->eax) & host_xcr0() & XCR0_OFFERED;
    if ((cpu.xcr0 & 0xe0) != 0xe0)
        cpu.xcr0 &= ~0xe0ul;
    for (u32 component = 2; component < 8; component++) {
        struct kvm_cpuid_entry2 *entry = cpuid_entry(0xd, component);
        if ((cpu.xcr0 >> component & 1) && entry && entry->ebx + entry->eax > cpu.xstate_size)
            cpu.xstate_size = entry->ebx + entry->eax;
    }
}

static void find_out(void) {
    cpu.cpuid.head.nent = array_size(cpu.cpuid.entries);
    if (host(__NR_ioctl, machine.kvm_fd, KVM_GET_SUPPORTED_CPUID, &cpu.cpuid))
        cpu.cpuid.head.nent = 0;
    struct kvm_cpuid_entry2 *features = cpuid_entry(1, 0), *more = cpuid_entry(7, 0);
    cpu.cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
    if (more && (more->ebx & 1))
        cpu.cr4 |= CR4_FSGSBASE;
    choose_xstate(features);
    if (more) {
        more->ecx &= ~(1u << 3 | 1u << 4);              /* protection keys: refused */
        more->edx &= ~(1u << 22 | 1u << 24 | 1u << 25); /* AMX */
    }
    struct kvm_cpuid_entry2 *state = cpuid_entry(0xd, 0);
    if (state) {
        state->eax &= (u32)cpu.xcr0;
        state->edx = 0;
        state->ecx = cpu.xstate_size;
    }
    cpu.known = true;
}

/* Ring 0 never runs or reads user pages: let the processor hold it to that, where it runs natively.
 */
static u64 cr4_value(void) {
    struct kvm_cpuid_entry2 *more = cpuid_entry(7, 0);
    u64 value = cpu.cr4;
    if (machine.landing == LANDING_RING0 && more) {
        value |= more->ebx & (1u << 7) ? CR4_SMEP : 0;
        value |= more->ebx & (1u << 20) ? CR4_SMAP : 0;
        value |= more->ecx & (1u << 2) ? CR4_UMIP : 0;
    }
    return value;
}

u64 vcpu_xfeatures(void) {
    return cpu.xcr0 ? cpu.xcr0 : 3;
}

u32 vcpu_xstate_size(void) {
    return cpu.xstate_size;
}

bool vcpu_tsc_is_host(void) {
    return cpu.tsc_is_host;
}

static long set_msrs(struct vcpu *vcpu, u32 count, const struct kvm_msr_entry *entries) {
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entries[4];
    } msrs = {.head.nmsrs = count};
    memcpy(msrs.entries, entries, count * sizeof *entries);
    return host(__NR_ioctl, vcpu->fd, KVM_SET_MSRS, &msrs);
}

void vcpu_load_cpu_number(struct vcpu *vcpu) {
    u64 limit = vcpu->cpu & 0xfffff;
    /* Data, expand-down, read-only, DPL 3, 32-bit: what Linux puts there; only the limit matters.
     */
    u64 descriptor = 0x0040f50000000000ul | (limit & 0xffff) | (limit & 0xf0000) << 32;
    *(u64 *)((u8 *)vcpu->page + VCPU_GDT + 15 * 8) = descriptor;
    struct kvm_msr_entry aux = {.index = MSR_TSC_AUX, .data = vcpu->cpu};
    set_msrs(vcpu, 1, &aux); /* processors without RDTSCP have no such MSR: LSL serves then */
}

static void fill_page(struct vcpu *vcpu) {
    u8 *page = vcpu->page;
    u64 *gdt = (u64 *)(page + VCPU_GDT);
    u64 tss = KERNEL_VCPU + (u64)vcpu->id * PAGE_SIZE + VCPU_TSS;
    gdt[2] = 0x00af9b000000fffful; /* kernel code */
    gdt[3] = 0x00cf93000000fffful; /* kernel data */
    /* No 32-bit user code segment: SYSRET's pair needs none, and 32-bit code is not served. */
    gdt[5] = 0x00cff3000000fffful; /* user data */
    gdt[6] = 0x00affb000000fffful; /* user code, 64 bits */
    gdt[8] = 0x0000890000000000ul | (VCPU_TSS_SIZE - 1) | (tss & 0xffffff) << 16 |
             (tss >> 24 & 0xff) << 56;
    gdt[9] = tss >> 32;
    u64 stack = KERNEL_VCPU + (u64)vcpu->id * PAGE_SIZE + VCPU_STACK_TOP;
    memcpy(page + VCPU_TSS + 4, &stack, 8);
    u16 bitmap = VCPU_TSS_BITMAP;
    memcpy(page + VCPU_TSS + 102, &bitmap, 2);
    memset(page + VCPU_TSS + VCPU_TSS_BITMAP, 0xff, 9);
    if (machine.landing != LANDING_RING0) /* the entry code's one port, for ring 3 */
        page[VCPU_TSS + VCPU_TSS_BITMAP + PORT_SYSCALL / 8] &= (u8) ~(1u << PORT_SYSCALL % 8);
}

void vcpu_forbid_ports(struct vcpu *vcpu) {
    memset((u8 *)vcpu->page + VCPU_TSS + VCPU_TSS_BITMAP, 0xff, 9);
}

/* With TSC offset 0 the guest reads the host's counter. */
static void use_host_tsc(struct vcpu *vcpu) {
    u64 offset = 0;
    struct kvm_device_attr attribute = {
        .group = KVM_VCPU_TSC_CTRL,
        .attr = KVM_VCPU_TSC_OFFSET,
        .addr = (u64)&offset,
    };
    cpu.tsc_is_host = !host(__NR_ioctl, vcpu->fd, KVM_SET_DEVICE_ATTR, &attribute);
}

static void set_once(struct vcpu *vcpu) {
    const struct kvm_msr_entry msrs[] = {
        {.index = MSR_STAR, .data = (u64)SELECTOR_USER_32 << 48 | (u64)SELECTOR_KERNEL_CODE << 32},
        {.index = MSR_LSTAR, .data = KERNEL_ENTRY},
        {.index = MSR_CSTAR, .data = KERNEL_ENTRY_COMPAT},
        {.index = MSR_SYSCALL_MASK, .data = SYSCALL_MASK},
    };
    if (host(__NR_ioctl, vcpu->fd, KVM_SET_CPUID2, &cpu.cpuid))
        machine_broken(vcpu, "KVM_SET_CPUID2 failed");
    vcpu_load_system(vcpu);
    if (set_msrs(vcpu, array_size(msrs), msrs) != array_size(msrs))
        machine_broken(vcpu, "KVM_SET_MSRS failed");
    use_host_tsc(vcpu);
    struct kvm_xcrs xcrs = {.nr_xcrs = 1, .xcrs[0].value = cpu.xcr0};
    if (cpu.xcr0 && host(__NR_ioctl, vcpu->fd, KVM_SET_XCRS, &xcrs))
        machine_broken(vcpu, "KVM_SET_XCRS failed");
    vcpu->cpu = ~0u;
    vcpu->stale = true; /* the landing may be found out meanwhile */
}

static struct kvm_sregs get_sregs(struct vcpu *vcpu) {
    struct kvm_sregs sregs;
    if (host(__NR_ioctl, vcpu->fd, KVM_GET_SREGS, &sregs))
        machine_broken(vcpu, "KVM_GET_SREGS failed");
    return sregs;
}

void vcpu_load_system(struct vcpu *vcpu) {
    struct kvm_sregs sregs = get_sregs(vcpu);
    u64 page = KERNEL_VCPU + (u64)vcpu->id * PAGE_SIZE;
    struct kvm_segment code = {.limit = 0xffffffff,
                               .selector = SELECTOR_USER_CODE,
                               .present = 1,
                               .type = 11,
                               .dpl = 3,
                               .s = 1,
                               .l = 1,
                               .g = 1};
    struct kvm_segment data = {.limit = 0xffffffff,
                               .selector = SELECTOR_USER_DATA,
                               .present = 1,
                               .type = 3,
                               .dpl = 3,
                               .s = 1,
                               .db = 1,
                               .g = 1};
    sregs.cs = code;
    sregs.ss = data;
    data.selector = 0; /* as in any 64-bit Linux program */
    sregs.ds = sregs.es = sregs.fs = sregs.gs = data;
    sregs.fs.base = vcpu->fs_base;
    sregs.gs.base = vcpu->gs_base;
    sregs.tr = (struct kvm_segment){.base = page + VCPU_TSS,
                                    .limit = VCPU_TSS_SIZE - 1,
                                    .selector = SELECTOR_TSS,
                                    .present = 1,
                                    .type = 11};
    sregs.gdt.base = page + VCPU_GDT;
    sregs.gdt.limit = VCPU_GDT_SIZE - 1;
    sregs.idt.base = KERNEL_IDT;
    sregs.idt.limit = 32 * 16 - 1;
    sregs.cr0 = CR0_VALUE;
    sregs.cr3 = vcpu->tables ? vcpu->tables : paging_top();
    sregs.cr4 = cr4_value();
    sregs.efer = EFER_VALUE;
    if (host(__NR_ioctl, vcpu->fd, KVM_SET_SREGS, &sregs))
        machine_broken(vcpu, "KVM_SET_SREGS failed");
    vcpu->stale = false;
}

void vcpu_save_bases(struct vcpu *vcpu) {
    struct kvm_sregs sregs = get_sregs(vcpu);
    vcpu->fs_base = sregs.fs.base;
    vcpu->gs_base = sregs.gs.base;
}

void vcpu_store_bases(struct vcpu *vcpu, u64 fs_base, u64 gs_base) {
    if (!vcpu->stale) {
        struct kvm_sregs sregs = get_sregs(vcpu);
        sregs.fs.base = fs_base;
        sregs.gs.base = gs_base;
        if (host(__NR_ioctl, vcpu->fd, KVM_SET_SREGS, &sregs))
            machine_broken(vcpu, "KVM_SET_SREGS failed");
    }
    vcpu->fs_base = fs_base;
    vcpu->gs_base = gs_base;
}

gva_t vcpu_fault_address(struct vcpu *vcpu) {
    struct kvm_sregs sregs = get_sregs(vcpu);
    return sregs.cr2;
}

u32 vcpu_ring(struct vcpu *vcpu) {
    struct kvm_sregs sregs = get_sregs(vcpu);
    return sregs.cs.selector & 3;
}

void vcpu_use_tables(struct vcpu *vcpu, gpa_t top) {
    if (vcpu->tables == top)
        return;
    vcpu_set_full_context(vcpu);
    vcpu->tables = top;
}

void vcpu_get_xsave(struct vcpu *vcpu, void *area) {
    if (host(__NR_ioctl, vcpu->fd, KVM_GET_XSAVE, area))
        machine_broken(vcpu, "KVM_GET_XSAVE failed");
    /* KVM reports components (protection keys) that the guest does not have. */
    *(u64 *)((u8 *)area + XSAVE_FEATURES_AT) &= vcpu_xfeatures();
}

bool vcpu_set_xsave(struct vcpu *vcpu, const void *area) {
    return host(__NR_ioctl, vcpu->fd, KVM_SET_XSAVE, area) == 0;
}

/* Makes one vCPU: descriptor, shared pages, its ring 0 page, its registers. */
static int make_vcpu(struct vcpu *vcpu) {
    vcpu->fd = kvm_descriptor(machine.fd, KVM_CREATE_VCPU, vcpu->id);
    if (vcpu->fd < 0)
        return vcpu->fd;
    long run =
        host(__NR_mmap, 0, machine.run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
    if (host_failed(run))
        return (int)run;
    host(__NR_madvise, run, machine.run_size, MADV_DONTFORK);
    vcpu->run = (struct kvm_run *)run;
    vcpu->run->kvm_valid_regs = KVM_SYNC_X86_REGS;
    set_once(vcpu);
    return 0;
}

/* A record and a ring 0 page for vCPU number `id`; after fork the parent's are used again. */
static struct vcpu *vcpu_record(u32 id) {
    if (id < machine.record_count)
        return machine.records[id];
    if (id >= array_size(machine.records))
        return NULL;
    long at =
        host(__NR_mmap, 0, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (host_failed(at))
        return NULL;
    struct vcpu *vcpu = (struct vcpu *)at;
    gpa_t gpa;
    vcpu->page = table_page(&gpa);
    vcpu->id = id;
    u64 bits = PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY | PTE_NO_EXECUTE;
    if (!vcpu->page || paging_map_page(paging_top(), KERNEL_VCPU + id * PAGE_SIZE, gpa, bits)) {
        host(__NR_munmap, at, PAGE_SIZE);
        return NULL;
    }
    machine.records[machine.record_count++] = vcpu;
    return vcpu;
}

int vcpu_make_batch(u32 count) {
    if (!cpu.known)
        find_out();
    for (u32 i = 0; i < count; i++) {
        struct vcpu *vcpu = vcpu_record(machine.vcpu_count);
        if (!vcpu)
            return i ? 0 : -EAGAIN;
        fill_page(vcpu);
        int error = make_vcpu(vcpu);
        if (error)
            return i ? 0 : error;
        machine.vcpu_count++;
        vcpu_give(vcpu);
    }
    return 0;
}

struct vcpu *vcpu_take(void) {
    lock_take(&machine.vcpu_lock);
    struct vcpu *vcpu = machine.idle;
    if (vcpu)
        machine.idle = vcpu->next_idle;
    lock_release(&machine.vcpu_lock);
    if (!vcpu)
        return NULL;
    vcpu->stale = true;
    vcpu->in_ring0 = false;
    vcpu->tables = 0;
    vcpu->fs_base = vcpu->gs_base = 0;
    memset(vcpu_regs(vcpu), 0, sizeof(struct kvm_regs));
    return vcpu;
}

void vcpu_give(struct vcpu *vcpu) {
    lock_take(&machine.vcpu_lock);
    vcpu->next_idle = machine.idle;
    machine.idle = vcpu;
    lock_release(&machine.vcpu_lock);
}

void vcpu_forget_all(void) {
    for (u32 i = 0; i < machine.vcpu_count; i++)
        host(__NR_close, machine.records[i]->fd);
    machine.vcpu_count = 0;
    machine.idle = NULL;
    machine.vcpu_lock = (struct lock){0};
}
