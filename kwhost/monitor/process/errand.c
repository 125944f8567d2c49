#include "process/errand.h"

#include <asm/signal.h>
#include <linux/mman.h>
#include <linux/sched.h>

#include "base/host.h"

#define STACK_SIZE (64ul << 10)

struct errand {
    long (*work)(void *argument);
    void *argument;
    long result;
};

/* The thread's whole life. */
static void run(struct errand *errand) {
    errand->result = errand->work(errand->argument);
}

/* clone without CLONE_FILES. The caller sleeps until the thread is done (CLONE_VFORK), so `stack`
 * and `errand` may live in its frame. All signals are blocked in both. */
static long clone_for(struct errand *errand, u8 *stack, bool own_directory) {
    u64 flags = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_VFORK |
                (own_directory ? 0 : CLONE_FS);
    u64 *top = (u64 *)(stack + STACK_SIZE) - 2;
    top[0] = (u64)run;
    top[1] = (u64)errand;

    register long r10 __asm__("r10") = 0;
    register long r8 __asm__("r8") = 0;
    long result = __NR_clone;
    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xor %%ebp, %%ebp\n\t"
                     "pop %%rax\n\t"
                     "pop %%rdi\n\t"
                     "call *%%rax\n\t"
                     "mov %[exit], %%eax\n\t"
                     "xor %%edi, %%edi\n\t"
                     "syscall\n\t"
                     "ud2\n"
                     "1:"
                     : "+a"(result)
                     : "D"(flags), "S"(top), "d"(0), "r"(r10), "r"(r8), [exit] "i"(__NR_exit)
                     : "rcx", "r11", "memory", "cc");
    return result;
}

long errand_run(long (*work)(void *argument), void *argument, bool own_directory) {
    struct errand errand = {work, argument, -EAGAIN};
    u64 all = ~0ul, saved;

    long stack =
        host(__NR_mmap, 0, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (host_failed(stack))
        return stack;
    host(__NR_rt_sigprocmask, SIG_SETMASK, &all, &saved, sizeof(saved));
    long result = clone_for(&errand, (u8 *)stack, own_directory);
    host(__NR_rt_sigprocmask, SIG_SETMASK, &saved, 0, sizeof(saved));
    host(__NR_munmap, stack, STACK_SIZE);
    return result < 0 ? result : errand.result;
}
