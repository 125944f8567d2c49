/* Privileged instructions, ports, descriptor tables, kernel addresses: each ends in a signal, in
 * ring 3. */
#include "hostile.h"
#include <setjmp.h>
#include <sys/auxv.h>

static sigjmp_buf back;
static volatile int taken;
static void on_fault(int signal) {
    taken = signal;
    siglongjmp(back, 1);
}
#define TRY(name, code)                                                                            \
    do {                                                                                           \
        taken = 0;                                                                                 \
        if (!sigsetjmp(back, 1)) {                                                                 \
            code;                                                                                  \
        }                                                                                          \
        printf("%s: %s\n", name, taken ? sigabbrev_np(taken) : "no fault");                        \
        IS(ring() == 3);                                                                           \
    } while (0)
/* A way into the kernel that a filter may answer by ending the process. */
#define TRY_APART(name, code)                                                                      \
    do {                                                                                           \
        pid_t child = fork_flushed();                                                              \
        if (!child) {                                                                              \
            TRY(name, code);                                                                       \
            leave_child(0);                                                                        \
        }                                                                                          \
        reap(name, child);                                                                         \
    } while (0)
#define RUN(instruction) __asm__ volatile(instruction ::: "rax", "rbx", "rcx", "rdx", "memory")

static unsigned ring(void) {
    unsigned long cs;
    __asm__ volatile("mov %%cs, %0" : "=r"(cs));
    return cs & 3;
}
static void call_at(unsigned long address) {
    ((void (*)(void))address)();
}

int main(int argc, char **argv) {
    const int signals[] = {SIGSEGV, SIGILL, SIGBUS, SIGTRAP, SIGFPE};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        signal(signals[i], on_fault);
    unsigned long cs, ss;
    __asm__ volatile("mov %%cs, %0\nmov %%ss, %1" : "=r"(cs), "=r"(ss));
    printf("cs %lx ss %lx\n", cs, ss);
    TRY("hlt", RUN("hlt"));
    TRY("cli", RUN("cli"));
    TRY("sti", RUN("sti"));
    TRY("rdmsr", RUN("mov $0xc0000082, %%ecx\nrdmsr"));
    TRY("wrmsr", RUN("mov $0xc0000082, %%ecx\nxor %%eax, %%eax\nxor %%edx, %%edx\nwrmsr"));
    TRY("read cr0", RUN("mov %%cr0, %%rax"));
    TRY("read cr3", RUN("mov %%cr3, %%rax"));
    TRY("write cr3", RUN("xor %%eax, %%eax\nmov %%rax, %%cr3"));
    TRY("read dr7", RUN("mov %%dr7, %%rax"));
    TRY("lgdt", RUN("lgdt -64(%%rsp)"));
    TRY("lidt", RUN("lidt -64(%%rsp)"));
    TRY("ltr", RUN("mov $0x28, %%ax\nltr %%ax"));
    TRY("invlpg", RUN("invlpg (%%rsp)"));
    TRY("wbinvd", RUN("wbinvd"));
    TRY("swapgs", RUN("swapgs"));
    TRY("sysretq", RUN("mov $0x1000, %%ecx\nsysretq"));
    TRY("xsetbv", RUN("xor %%ecx, %%ecx\nmov $1, %%eax\nxor %%edx, %%edx\nxsetbv"));
    TRY("vmcall", RUN("vmcall"));
    TRY("vmmcall", RUN("vmmcall"));
    /* QEMU's emulation repeats these for ever, natively too. */
    if (argc == 1 || strcmp(argv[1], "emulated") != 0) {
        TRY("iretq to ring 0",
            RUN("mov %%rsp, %%rax\npush $0x18\npush %%rax\npushf\npush $0x10\nlea "
                "1f(%%rip), %%rbx\npush %%rbx\niretq\n1:"));
        TRY("far return to ring 0", RUN("push $0x10\nlea 1f(%%rip), %%rbx\npush %%rbx\nlretq\n1:"));
    }
    TRY("load ss 0x18", RUN("mov $0x18, %%ax\nmov %%ax, %%ss"));
    TRY("load ds 0x10", RUN("mov $0x10, %%ax\nmov %%ax, %%fs"));
    for (int port = 0; port < 65536; port += port < 0x100 ? 1 : 997) {
        taken = 0;
        if (!sigsetjmp(back, 1)) {
            __asm__ volatile("outb %%al, %%dx" ::"a"(0), "d"(port));
            printf("OUT %x\n", port);
        }
        if (!sigsetjmp(back, 1)) {
            __asm__ volatile("inb %%dx, %%al" ::"d"(port) : "rax");
            printf("IN %x\n", port);
        }
    }
    TRY_APART("int 0x80", RUN("mov $20, %%eax\nint $0x80"));
    TRY("int 0x20", RUN("int $0x20"));
    TRY("int 14", RUN("int $14"));
    TRY("int 8", RUN("int $8"));
    TRY_APART("sysenter", RUN("mov $39, %%eax\nsysenter"));
    const unsigned long kernel[] = {
        0xffffffff80000000,        0xffffffff81000000, 0xffff800000000000, 0xffffc00000000000,
        0xffffffffff600000 + 4096, 0xfffffffffffff000, 1ul << 46,          (1ul << 46) + 4096,
        (1ul << 47) - 4096,        0x100000000000};
    for (size_t i = 0; i < sizeof kernel / sizeof *kernel; i++) {
        TRY("jump", call_at(kernel[i]));
        TRY("read", (void)*(volatile char *)kernel[i]);
        TRY("write", *(volatile char *)kernel[i] = 1);
    }
    /* A program may give itself any SYSCALL return address; the flags and the ring are not its to
     * choose. */
    TRY("popf", RUN("pushf\norq $0x3200, (%%rsp)\npopf"));
    unsigned long flags;
    __asm__ volatile("pushf\npop %0" : "=r"(flags));
    printf("I/O privilege %lu interrupts %lu\n", flags >> 12 & 3, flags >> 9 & 1);
    survived();
    return 0;
}
