/* The virtual machine: KVM descriptors, memory slots, ring 0 pages, and the spare vCPUs. One per
 * address space: a vfork'd child uses its parent's. */
#ifndef KW_MACHINE_MACHINE_H
#define KW_MACHINE_MACHINE_H

#include "base/lock.h"
#include "base/types.h"
#include "machine/vcpu.h"

/* How SYSCALL behaves on this host (kvm-facts.md). */
enum syscall_landing {
    LANDING_UNKNOWN,
    LANDING_RING0, /* hardware-style KVM: the guest's SYSRET goes back */
    LANDING_RING3, /* software KVM: the monitor continues the program itself */
};

/* Makes the VM with its ring 0 pages. `kvm_fd` stays the caller's. `landing` is what the instance's
 * first monitor found, or LANDING_UNKNOWN: machine_self_test has to be called then. Returns 0 or a
 * negative errno, with what failed in *what. */
int machine_create(int kvm_fd, enum syscall_landing landing, const char **what);

/* Runs one SYSCALL in ring 3 to see where it lands, and closes what that answer makes unnecessary.
 */
enum syscall_landing machine_self_test(void);

/* After fork, in the child: closes the parent's VM, makes one of its own with the same memory slots
 * and the same page tables (which the child has a copy of). Returns 0 or a negative errno. */
int machine_refork(void);

/* Adds or removes a memory slot. Return 0 or a negative errno. slot numbers come from slot_take. */
int slot_add(gpa_t gpa, u64 size, const void *memory, bool read_only, u32 *slot);
int slot_remove(u32 slot, gpa_t gpa);
/* Registers a slot under the number it had before, in a new VM after fork. */
int slot_again(u32 slot, gpa_t gpa, u64 size, const void *memory, bool read_only);

/* Guest-physical address space, in multiples of 2 MiB. gpa_take returns 0 when none is left. */
gpa_t gpa_take(u64 size);
void gpa_give(gpa_t gpa, u64 size);

/* Largest host address space KVM promises to map: CPUID 0x80000008, at most 52 bits. */
u32 machine_gpa_bits(void);

/* vCPUs. vcpu_take: an idle one, or NULL when none is spare: then call vcpu_make_batch while no
 * other thread of the process can be in a host call (kernel returns low descriptor numbers). */
struct vcpu *vcpu_take(void);
void vcpu_give(struct vcpu *vcpu);
int vcpu_make_batch(u32 count);

/* Points CR3 of this vCPU at another top-level table (the coarse one: 0), from the next entry on.
 */
void vcpu_use_tables(struct vcpu *vcpu, gpa_t top);

#endif
