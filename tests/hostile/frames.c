/* rt_sigreturn with garbage: selectors of ring 0, I/O privilege, wild RIP, broken XSAVE areas, no
 * stack. */
#include "hostile.h"
#include <ucontext.h>

static volatile int kind;
static void on_signal(int signal, siginfo_t *info, void *raw) {
    ucontext_t *context = raw;
    greg_t *registers = context->uc_mcontext.gregs;
    (void)signal, (void)info;
    switch (kind) {
    case 0: /* ring 0 selectors: CS 0x10, SS 0x18 */
        registers[REG_CSGSFS] = (registers[REG_CSGSFS] & ~0xffff0000ffffl) | 0x10 | 0x18l << 48;
        break;
    case 1: /* I/O privilege level 3, virtual 8086, nested task, interrupts off */
        registers[REG_EFL] |= 0x3000 | 1 << 17 | 1 << 14;
        registers[REG_EFL] &= ~(1l << 9);
        break;
    case 2:
        registers[REG_RIP] = (greg_t)0xffffffff81000000;
        break;
    case 3:
        registers[REG_RIP] = (greg_t)0x8000000000000000;
        break;
    case 4:
        memset(context->uc_mcontext.fpregs, 0xff, 512);
        break;
    case 5:
        memset((char *)context->uc_mcontext.fpregs + 464, 0xff, 2000);
        break;
    case 6:
        context->uc_mcontext.fpregs = (fpregset_t)(1ul << 50);
        break;
    case 7:
        context->uc_mcontext.fpregs = (fpregset_t)((char *)context->uc_mcontext.fpregs + 1);
        break;
    case 8:
        registers[REG_RSP] = 8;
        break;
    case 9:
        memset(registers, 0xff, sizeof context->uc_mcontext.gregs);
        break;
    case 10:
        context->uc_stack.ss_flags = 0x7777;
        context->uc_stack.ss_sp = (void *)-1;
        break;
    case 11:
        context->uc_flags = -1ul;
        break;
    case 12: /* the trap flag: a SIGTRAP after the next instruction */
        registers[REG_EFL] |= 1 << 8;
        break;
    default:
        break;
    }
}

static unsigned ring(void) {
    unsigned long cs;
    __asm__ volatile("mov %%cs, %0" : "=r"(cs));
    return cs & 3;
}
static void play(void) {
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    if (ring() != 3)
        printf("RING %u\n", ring());
    __asm__ volatile("outb %%al, $0x80" ::"a"(0)); /* must fault: no I/O privilege */
    printf("PORT OPEN\n");
}

static void raw_return(void) {
    __asm__ volatile("mov $15, %%eax\nsyscall" ::: "rax", "rcx", "r11", "memory");
}
static void raw_return_nowhere(void) {
    __asm__ volatile("mov $15, %%eax\nmov $8, %%rsp\nsyscall" ::: "rax", "rcx", "r11", "memory");
}
static void raw_return_garbage(void) {
    unsigned long seed = 99;
    static char frames[64 << 10] __attribute__((aligned(64)));
    for (size_t i = 0; i < sizeof frames; i += 8)
        *(unsigned long *)(frames + i) = dice(&seed) >> (dice(&seed) % 64);
    __asm__ volatile("mov %0, %%rsp\nmov $15, %%eax\nsyscall" ::"r"(frames + 4096)
                     : "rax", "rcx", "r11", "memory");
}
static void no_stack(void) {
    signal(SIGUSR1, (void (*)(int))(uintptr_t)on_signal);
    pid_t me = getpid();
    __asm__ volatile(
        "mov $8, %%rsp\nmov %0, %%edi\nmov $10, %%esi\nmov $62, %%eax\nsyscall" ::"r"(me)
        : "rdi", "rsi", "rax", "rcx", "r11");
}
static void odd_handlers(void) {
    struct {
        unsigned long handler, flags, restorer, mask;
    } action = {0xffffffff81000000, SA_SIGINFO | 0x04000000, 8, -1ul};
    syscall(SYS_rt_sigaction, SIGUSR1, &action, NULL, 8);
    kill(getpid(), SIGUSR1);
}

int main(void) {
    for (int i = 0; i < 13; i++) {
        kind = i;
        char name[16];
        snprintf(name, sizeof name, "frame %d", i);
        in_child(name, play, 5);
    }
    in_child("raw", raw_return, 5);
    in_child("raw nowhere", raw_return_nowhere, 5);
    in_child("raw garbage", raw_return_garbage, 5);
    in_child("no stack", no_stack, 5);
    in_child("odd handlers", odd_handlers, 5);
    survived();
    return 0;
}
