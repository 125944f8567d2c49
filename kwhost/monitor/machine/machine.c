/* Making and remaking the VM. */
#include "machine/machine.h"

#include <linux/errno.h>
#include <linux/mman.h>

#include "base/host.h"
#include "base/text.h"
#include "machine/kvm.h"
#include "machine/layout.h"
#include "machine/paging.h"

struct machine machine;

extern const u8 entry_code[], entry_code_end[], entry_stubs[], entry_stubs_end[];
extern const u8 entry_test[], entry_test_end[];

u32 machine_gpa_bits(void) {
    if (!machine.gpa_bits) {
        u32 eax = 0x80000008, ebx, ecx = 0, edx;
        __asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
        u32 bits = eax & 0xff;
        machine.gpa_bits = bits < 36 ? 36 : bits > 46 ? 46 : bits;
    }
    return machine.gpa_bits;
}

/* A signal that the monitor may not block (a kick, a fault sent by a program) interrupts the making
 * of KVM objects: again. */
static long kvm_ioctl(int fd, unsigned long request, u64 argument) {
    long result;
    do
        result = host(__NR_ioctl, fd, request, argument);
    while (result == -EINTR);
    return result;
}

int slot_add(gpa_t gpa, u64 size, const void *memory, bool read_only, u32 *slot) {
    u32 number = machine.free_slot_count ? machine.free_slots[--machine.free_slot_count]
                                         : machine.next_slot++;
    struct kvm_userspace_memory_region region = {
        .slot = number,
        .flags = read_only ? KVM_MEM_READONLY : 0,
        .guest_phys_addr = gpa,
        .memory_size = size,
        .userspace_addr = (u64)memory,
    };
    long error = kvm_ioctl(machine.fd, KVM_SET_USER_MEMORY_REGION, (u64)&region);
    if (error) {
        if (machine.free_slot_count < array_size(machine.free_slots))
            machine.free_slots[machine.free_slot_count++] = number;
        return (int)error;
    }
    *slot = number;
    return 0;
}

int slot_remove(u32 slot, gpa_t gpa) {
    struct kvm_userspace_memory_region region = {.slot = slot, .guest_phys_addr = gpa};
    long error = kvm_ioctl(machine.fd, KVM_SET_USER_MEMORY_REGION, (u64)&region);
    if (!error && machine.free_slot_count < array_size(machine.free_slots))
        machine.free_slots[machine.free_slot_count++] = slot;
    return (int)error;
}

int slot_again(u32 slot, gpa_t gpa, u64 size, const void *memory, bool read_only) {
    struct kvm_userspace_memory_region region = {
        .slot = slot,
        .flags = read_only ? KVM_MEM_READONLY : 0,
        .guest_phys_addr = gpa,
        .memory_size = size,
        .userspace_addr = (u64)memory,
    };
    return (int)kvm_ioctl(machine.fd, KVM_SET_USER_MEMORY_REGION, (u64)&region);
}

/* A 64-bit interrupt gate (SDM 3, 6.14.1). */
struct gate {
    u16 offset_low, selector;
    u8 stack_table, attributes;
    u16 offset_middle;
    u32 offset_high, reserved;
};

static void fill_idt(struct gate *idt) {
    for (u32 vector = 0; vector < 32; vector++) {
        u64 stub = KERNEL_STUBS + vector * STUB_SIZE;
        /* int3 is for everyone; any other `int n` from ring 3 is #GP, as on Linux (but int 0x80).
         */
        idt[vector] = (struct gate){
            .offset_low = (u16)stub,
            .selector = SELECTOR_KERNEL_CODE,
            .attributes = vector == 3 ? 0xee : 0x8e,
            .offset_middle = (u16)(stub >> 16),
            .offset_high = (u32)(stub >> 32),
        };
    }
}

/* One ring 0 page with `size` bytes of `content`. */
static int kernel_page(u64 address, const void *content, u64 size, u64 bits, gpa_t *gpa) {
    void *page = table_page(gpa);
    if (!page)
        return -ENOMEM;
    memcpy(page, content, size);
    return paging_map_page(paging_top(), address, *gpa, bits | PTE_PRESENT | PTE_ACCESSED);
}

/* The SYSCALL entry page: ring 3 may touch it only where SYSCALL does not leave ring 3. */
static int map_entry(void) {
    u64 user = machine.landing == LANDING_RING0 ? 0 : PTE_USER;
    return paging_map_page(paging_top(), KERNEL_ENTRY, machine.entry_gpa,
                           PTE_PRESENT | PTE_ACCESSED | user);
}

static int make_kernel_pages(void) {
    static const u8 nothing[1];
    gpa_t gpa;
    int error = kernel_page(KERNEL_ENTRY, entry_code, (u64)(entry_code_end - entry_code), 0,
                            &machine.entry_gpa);
    if (!error)
        error = map_entry();
    if (!error)
        error =
            kernel_page(KERNEL_STUBS, entry_stubs, (u64)(entry_stubs_end - entry_stubs), 0, &gpa);
    if (!error)
        error = kernel_page(KERNEL_IDT, nothing, 0, PTE_NO_EXECUTE, &gpa);
    if (!error)
        fill_idt(table_host(gpa));
    return error;
}

int kvm_descriptor(int fd, unsigned long request, u64 argument) {
    struct own_fd_limit saved;
    own_fd_limit_raise(&saved);
    int made = (int)kvm_ioctl(fd, request, argument);
    if (made >= 0)
        made = own_fd_move(made);
    own_fd_limit_restore(&saved);
    return made;
}

static int open_vm(const char **what) {
    int fd = kvm_descriptor(machine.kvm_fd, KVM_CREATE_VM, 0);
    *what = "KVM_CREATE_VM";
    if (fd < 0)
        return fd;
    machine.fd = fd;
    return 0;
}

int machine_create(int kvm_fd, enum syscall_landing landing, const char **what) {
    machine.kvm_fd = kvm_fd;
    machine.landing = landing;
    int error = open_vm(what);
    if (error)
        return error;
    *what = "KVM_GET_VCPU_MMAP_SIZE";
    machine.run_size = (u64)host(__NR_ioctl, kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (host_failed((long)machine.run_size))
        return (int)machine.run_size;
    *what = "setting up guest page tables (KVM_SET_USER_MEMORY_REGION)";
    error = paging_start();
    return error ? error : make_kernel_pages();
}

enum syscall_landing machine_self_test(void) {
    gpa_t gpa;
    if (kernel_page(KERNEL_TEST, entry_test, (u64)(entry_test_end - entry_test), PTE_USER, &gpa))
        return LANDING_UNKNOWN;
    if (vcpu_make_batch(1))
        return LANDING_UNKNOWN;
    struct vcpu *vcpu = vcpu_take();
    vcpu_regs(vcpu)->rip = KERNEL_TEST;
    machine.landing = vcpu_probe_landing(vcpu);
    paging_map_page(paging_top(), KERNEL_TEST, 0, 0);
    if (machine.landing == LANDING_RING0) {
        /* Taking the user bit away: no translation of it is cached but this vCPU's own, whose
         * system registers are loaded anew, and software KVM is the other case. */
        map_entry();
        vcpu_forbid_ports(vcpu);
    }
    vcpu_give(vcpu);
    return machine.landing;
}

static int chunk_again(gpa_t gpa, u64 size, void *memory, u32 slot, void *context) {
    int *error = context;
    *error = slot_again(slot, gpa, size, memory, false);
    return *error;
}

int machine_refork(void) {
    const char *what;
    vcpu_forget_all();
    host(__NR_close, machine.fd);
    int error = open_vm(&what);
    if (!error)
        paging_each_chunk(chunk_again, &error);
    return error;
}
