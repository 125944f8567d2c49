#include "base/report.h"
#include "machine/kvm.h"
#include "machine/setup.h"

_Noreturn void machine_broken(struct vcpu *vcpu, const char *what) {
    const struct kvm_run *run = vcpu->run;
    const struct kvm_regs *regs = vcpu_regs(vcpu);
    monitor_fail(125,
                 "the virtual machine failed: %s (exit reason %u, suberror %u, rip %lx, rsp %lx); "
                 "please report this with `kwhost doctor`",
                 what, run->exit_reason, run->internal.suberror, (u64)regs->rip, (u64)regs->rsp);
}
