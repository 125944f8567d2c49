/* What KVM itself takes for an empty VM with one vCPU and one memory slot, in a fresh process. */
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "measure.h"

#define MEMORY_SIZE (64ul << 20)

int main(void) {
    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    must(kvm >= 0, "/dev/kvm");
    int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    must(size > 0, "KVM_GET_VCPU_MMAP_SIZE");
    uint64_t start = now_ns();
    void *memory = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    must(memory != MAP_FAILED, "mmap");
    int vm = ioctl(kvm, KVM_CREATE_VM, 0);
    must(vm >= 0, "KVM_CREATE_VM");
    struct kvm_userspace_memory_region region = {.memory_size = MEMORY_SIZE,
                                                 .userspace_addr = (uint64_t)memory};
    must(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) == 0, "KVM_SET_USER_MEMORY_REGION");
    int vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
    must(vcpu >= 0, "KVM_CREATE_VCPU");
    void *run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
    must(run != MAP_FAILED, "mapping the vCPU");
    tell("ns", (double)(now_ns() - start));
    return 0;
}
