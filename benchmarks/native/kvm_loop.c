/* The floor under a forwarded system call: ring 3 code that executes SYSCALL, an `out` at LSTAR
 * that leaves the VM, and an answer in RAX; nothing is done in between. Leaves and returns the way
 * the monitor does, on both kinds of KVM: where SYSCALL enters ring 0 the guest's SYSRET goes back,
 * where it stays in ring 3 the program is continued behind its SYSCALL by loading RIP and RFLAGS.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "measure.h"

#define MEMORY_SIZE (2ul << 20)
#define PIECE 100 /* as in calls.c */
#define PORT 0x30
#define USER_CODE 0x33

/* Guest-physical and virtual addresses are the same. */
enum {
    LEVEL4 = 0x1000,
    LEVEL3 = 0x2000,
    LEVEL2 = 0x3000,
    LEVEL1 = 0x4000,
    GDT = 0x5000,
    TSS = 0x5100,
    BITMAP = 104, /* in the TSS */
    TSS_SIZE = BITMAP + 9,
    ENTRY = 0x6000,
    PROGRAM = 0x7000,
    STACK = 0x9000,
};

struct machine {
    uint8_t *memory;
    int vm, vcpu;
    struct kvm_run *run;
};

static const uint8_t entry_code[] = {0xe6, PORT, 0x48, 0x0f, 0x07}; /* out %al, $PORT; sysretq */
static const uint8_t program_code[] = {0xb8, 110, 0,    0,   0,     /* mov $110, %eax */
                                       0x0f, 5,   0xeb, 0xf7};      /* syscall; jmp to the start */

static void fill_memory(uint8_t *memory) {
    uint64_t *gdt = (uint64_t *)(memory + GDT), *level1 = (uint64_t *)(memory + LEVEL1);
    const uint64_t table = 0x27, page = 0x67; /* present, writable, user, accessed, dirty */
    *(uint64_t *)(memory + LEVEL4) = LEVEL3 | table;
    *(uint64_t *)(memory + LEVEL3) = LEVEL2 | table;
    *(uint64_t *)(memory + LEVEL2) = LEVEL1 | table;
    for (uint64_t i = 0; i < 512; i++)
        level1[i] = i << 12 | page;
    gdt[2] = 0x00af9b000000ffffull; /* ring 0 code and data, ring 3 data and code */
    gdt[3] = 0x00cf93000000ffffull;
    gdt[5] = 0x00cff3000000ffffull;
    gdt[6] = 0x00affb000000ffffull;
    gdt[8] = 0x0000890000000000ull | (TSS_SIZE - 1) | (uint64_t)TSS << 16;
    uint16_t bitmap = BITMAP;
    memcpy(memory + TSS + 102, &bitmap, sizeof bitmap);
    memset(memory + TSS + BITMAP, 0xff, 9);
    memory[TSS + BITMAP + PORT / 8] &= (uint8_t) ~(1u << PORT % 8);
    memcpy(memory + ENTRY, entry_code, sizeof entry_code);
    memcpy(memory + PROGRAM, program_code, sizeof program_code);
}

static void load_system(const struct machine *machine) {
    struct kvm_sregs sregs;
    must(ioctl(machine->vcpu, KVM_GET_SREGS, &sregs) == 0, "KVM_GET_SREGS");
    struct kvm_segment code = {.limit = 0xffffffff,
                               .selector = USER_CODE,
                               .present = 1,
                               .type = 11,
                               .dpl = 3,
                               .s = 1,
                               .l = 1,
                               .g = 1};
    struct kvm_segment data = {.limit = 0xffffffff,
                               .selector = 0x2b,
                               .present = 1,
                               .type = 3,
                               .dpl = 3,
                               .s = 1,
                               .db = 1,
                               .g = 1};
    sregs.cs = code;
    sregs.ss = sregs.ds = sregs.es = sregs.fs = sregs.gs = data;
    sregs.tr = (struct kvm_segment){
        .base = TSS, .limit = TSS_SIZE - 1, .selector = 0x40, .present = 1, .type = 11};
    sregs.gdt.base = GDT;
    sregs.gdt.limit = 127;
    sregs.idt.limit = 0; /* no exception is expected: one ends the VM */
    sregs.cr0 = 0x80050033;
    sregs.cr3 = LEVEL4;
    sregs.cr4 = 1 << 5 | 1 << 9 | 1 << 10; /* PAE, OSFXSR, OSXMMEXCPT */
    sregs.efer = 0xd01;                    /* long mode, NX, SYSCALL */
    must(ioctl(machine->vcpu, KVM_SET_SREGS, &sregs) == 0, "KVM_SET_SREGS");
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entries[3];
    } msrs = {.head.nmsrs = 3,
              .entries = {{.index = 0xc0000081, .data = 0x23ull << 48 | 0x10ull << 32},
                          {.index = 0xc0000082, .data = ENTRY},
                          {.index = 0xc0000084, .data = 0x47700}}};
    must(ioctl(machine->vcpu, KVM_SET_MSRS, &msrs) == 3, "KVM_SET_MSRS");
}

static void set_cpuid(const struct machine *machine, int kvm) {
    struct {
        struct kvm_cpuid2 head;
        struct kvm_cpuid_entry2 entries[128];
    } cpuid = {.head.nent = 128};
    must(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid) == 0, "KVM_GET_SUPPORTED_CPUID");
    must(ioctl(machine->vcpu, KVM_SET_CPUID2, &cpuid) == 0, "KVM_SET_CPUID2");
}

static void make_machine(struct machine *machine) {
    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    must(kvm >= 0, "/dev/kvm");
    machine->vm = ioctl(kvm, KVM_CREATE_VM, 0);
    must(machine->vm >= 0, "KVM_CREATE_VM");
    machine->memory =
        mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(machine->memory != MAP_FAILED, "mmap");
    fill_memory(machine->memory);
    struct kvm_userspace_memory_region region = {.memory_size = MEMORY_SIZE,
                                                 .userspace_addr = (uint64_t)machine->memory};
    must(ioctl(machine->vm, KVM_SET_USER_MEMORY_REGION, &region) == 0,
         "KVM_SET_USER_MEMORY_REGION");
    machine->vcpu = ioctl(machine->vm, KVM_CREATE_VCPU, 0);
    must(machine->vcpu >= 0, "KVM_CREATE_VCPU");
    int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    machine->run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, machine->vcpu, 0);
    must(machine->run != MAP_FAILED, "mapping the vCPU");
    set_cpuid(machine, kvm);
    load_system(machine);
    machine->run->kvm_valid_regs = KVM_SYNC_X86_REGS;
    struct kvm_regs *regs = (struct kvm_regs *)&machine->run->s.regs.regs;
    *regs = (struct kvm_regs){.rip = PROGRAM, .rsp = STACK, .rflags = 0x202};
}

/* One exit and the answer. Every exit has to be the one that is measured. */
static void one_call(struct machine *machine, int stays_in_ring3) {
    struct kvm_run *run = machine->run;
    struct kvm_regs *regs = (struct kvm_regs *)&run->s.regs.regs;
    run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
    int result;
    do /* a signal that this process may get */
        result = ioctl(machine->vcpu, KVM_RUN, 0);
    while (result != 0 && run->exit_reason == KVM_EXIT_INTR);
    must(result == 0 && run->exit_reason == KVM_EXIT_IO && run->io.port == PORT, "KVM_RUN");
    regs->rax = 1;
    if (stays_in_ring3) {
        regs->rip = regs->rcx;
        regs->rflags = regs->r11;
    }
}

int main(int argc, char **argv) {
    long count = argument(argc, argv, 1);
    struct machine machine;
    make_machine(&machine);
    one_call(&machine, 0);
    struct kvm_sregs sregs;
    must(ioctl(machine.vcpu, KVM_GET_SREGS, &sregs) == 0, "KVM_GET_SREGS");
    int stays = (sregs.cs.selector & 3) == 3;
    struct kvm_regs *regs = (struct kvm_regs *)&machine.run->s.regs.regs;
    if (stays) {
        regs->rip = regs->rcx;
        regs->rflags = regs->r11;
    }
    struct pieces pieces = pieces_for((size_t)count / PIECE);
    for (long done = 0; done < count; done += PIECE) {
        uint64_t start = now_ns();
        for (int i = 0; i < PIECE; i++)
            one_call(&machine, stays);
        piece_add(&pieces, now_ns() - start);
    }
    tell("ns_per_call", piece_at(&pieces, 0.5) / PIECE);
    tell("ring", stays ? 3 : 0);
    return 0;
}
