/* System call numbers that do not exist, and ways into the kernel that 64-bit programs do not use.
 */
#include "check.h"
#include <sys/prctl.h>
#include <asm/prctl.h>

static long raw(long number) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "0"(number) : "rcx", "r11", "memory");
    return result;
}

int main(void) {
    const long numbers[] = {340,   380,      400,        423, 500,  510,      511,
                            512,   547,      548,        600, 1000, 4095,     4096,
                            65536, 1l << 20, 0x3fffffff, -1,  -2,   INT32_MIN};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        printf("%ld: %s\n", numbers[i], error_name((int)-raw(numbers[i])));
    printf("upper half ignored: %d\n", raw(1l << 32 | SYS_getpid) == getpid());
    const long gone[] = {
        SYS_uselib,          SYS__sysctl,         SYS_create_module, SYS_get_kernel_syms,
        SYS_query_module,    SYS_nfsservctl,      SYS_getpmsg,       SYS_putpmsg,
        SYS_afs_syscall,     SYS_tuxcall,         SYS_security,      SYS_vserver,
        SYS_set_thread_area, SYS_get_thread_area, SYS_epoll_ctl_old, SYS_epoll_wait_old};
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
        printf("%ld: %s\n", gone[i], error_name((int)-raw(gone[i])));
    /* Registers other than RAX, RCX and R11 survive a call. */
    long rbx = 1, rdx = 2, rsi = 3, rdi = 4, result;
    register long r8 __asm__("r8") = 5;
    register long r9 __asm__("r9") = 6;
    register long r10 __asm__("r10") = 7;
    register long r12 __asm__("r12") = 8;
    register long r15 __asm__("r15") = 9;
    __asm__ volatile("syscall"
                     : "=a"(result), "+b"(rbx), "+d"(rdx), "+S"(rsi), "+D"(rdi), "+r"(r8), "+r"(r9),
                       "+r"(r10), "+r"(r12), "+r"(r15)
                     : "0"((long)SYS_getpid)
                     : "rcx", "r11", "memory");
    printf("kept %d\n", rbx == 1 && rdx == 2 && rsi == 3 && rdi == 4 && r8 == 5 && r9 == 6 &&
                            r10 == 7 && r12 == 8 && r15 == 9);
    long rcx = 0, here;
    __asm__ volatile("lea 1f(%%rip), %1\nsyscall\n1:"
                     : "=a"(result), "=&r"(here), "=c"(rcx)
                     : "0"((long)SYS_getpid)
                     : "r11", "memory");
    printf("RCX is the return address %d\n", rcx == here);
    long flags;
    __asm__ volatile("stc\nstd\nsyscall\npushf\npop %1\ncld"
                     : "=a"(result), "=r"(flags)
                     : "0"((long)SYS_getpid)
                     : "rcx", "r11", "memory");
    printf("flags kept: carry %ld direction %ld\n", flags & 1, flags >> 10 & 1);
    /* Segment bases. */
    unsigned long base = 0;
    SHOW(syscall(SYS_arch_prctl, ARCH_GET_FS, &base));
    IS(base != 0);
    SHOW(syscall(SYS_arch_prctl, ARCH_SET_GS, 0x123456789000));
    SHOW(syscall(SYS_arch_prctl, ARCH_GET_GS, &base));
    printf("gs %lx\n", base);
    SHOW(syscall(SYS_arch_prctl, ARCH_SET_GS, 1l << 63));
    SHOW(syscall(SYS_arch_prctl, ARCH_SET_GS, 1l << 47));
    SHOW(syscall(SYS_arch_prctl, 0x9999, 0));
    static long word = 77;
    SHOW(syscall(SYS_arch_prctl, ARCH_SET_GS, &word));
    long through;
    __asm__ volatile("mov %%gs:0, %0" : "=r"(through));
    raw(SYS_getppid);
    long after;
    __asm__ volatile("mov %%gs:0, %0" : "=r"(after));
    printf("through gs %ld %ld\n", through, after);
    return 0;
}
