/* System registers, MSRs and the per-vCPU page: what vcpu.c needs and does not do on every entry.
 */
#ifndef KW_MACHINE_SETUP_H
#define KW_MACHINE_SETUP_H

#include "machine/vcpu.h"

/* Writes every system register for running in ring 3, with the vCPU's saved bases; clears `stale`.
 */
void vcpu_load_system(struct vcpu *vcpu);

/* Reads FS and GS base from the vCPU into vcpu->fs_base and gs_base. */
void vcpu_save_bases(struct vcpu *vcpu);

/* Sets both bases at once, in the vCPU too unless it is stale. */
void vcpu_store_bases(struct vcpu *vcpu, u64 fs_base, u64 gs_base);

/* CR2. */
gva_t vcpu_fault_address(struct vcpu *vcpu);

/* Ring the vCPU stands in. */
u32 vcpu_ring(struct vcpu *vcpu);

/* Puts vcpu->cpu into GDT entry 15 and TSC_AUX. */
void vcpu_load_cpu_number(struct vcpu *vcpu);

/* True when the guest reads the host's time stamp counter, so that the host's vDSO tells its time.
 */
bool vcpu_tsc_is_host(void);

/* The machine does what it must not: says so with the registers and ends the process (125). */
_Noreturn void machine_broken(struct vcpu *vcpu, const char *what);

#endif
