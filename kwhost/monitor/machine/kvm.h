/* What the files of machine/ share among themselves. */
#ifndef KW_MACHINE_KVM_H
#define KW_MACHINE_KVM_H

#include "base/own_fd.h"
#include "machine/machine.h"

struct machine {
    int kvm_fd, fd;
    enum syscall_landing landing;
    u32 gpa_bits;
    u64 run_size; /* bytes of a vCPU's shared page(s) */
    gpa_t entry_gpa;
    u32 next_slot;
    u32 free_slots[256], free_slot_count;
    struct lock vcpu_lock; /* guards idle */
    struct vcpu *idle;
    u32 vcpu_count;             /* that exist in this VM: records[0] to [vcpu_count - 1] */
    struct vcpu *records[1024]; /* KVM_CAP_MAX_VCPUS where it is least */
    u32 record_count;
};
extern struct machine machine;

/* Makes a KVM object and moves its descriptor to the monitor's own numbers, also when the guest has
 * used up all it may have. No other thread of the process may be in a host call. Returns the
 * descriptor or a negative errno. */
int kvm_descriptor(int fd, unsigned long request, u64 argument);

/* Runs the vCPU to its first SYSCALL and looks where it stands. */
enum syscall_landing vcpu_probe_landing(struct vcpu *vcpu);

/* Takes the ports away from ring 3. */
void vcpu_forbid_ports(struct vcpu *vcpu);

/* After fork: forgets the parent's vCPUs (their pages were not inherited) and closes them. */
void vcpu_forget_all(void);

#endif
