/* long interruptible_call(const volatile u32 *signal_pending, const volatile u32 *work, long nr,
 *                         const u64 arg[6])
 *
 * Makes a host call unless a signal or other work is already waiting. A signal that arrives between
 * the tests and the SYSCALL instruction would otherwise be noticed only when the call ends by itself:
 * the handler finds the instruction pointer in [interruptible_begin, interruptible_end) and sets it to
 * interruptible_abort. The kernel points there too when it wants the call made again
 * (ERESTARTNOINTR). Aborted: -ERESTARTNOINTR, which the host never returns to user space. */
    .text
    .globl interruptible_call, interruptible_begin, interruptible_end, interruptible_abort
    .type interruptible_call, @function
interruptible_call:
    mov %rdi, %r11
    mov %rdx, %rax
    mov %rcx, %r9
    mov %rsi, %rcx
    mov 0(%r9), %rdi
    mov 8(%r9), %rsi
    mov 16(%r9), %rdx
    mov 24(%r9), %r10
    mov 32(%r9), %r8
    mov 40(%r9), %r9
interruptible_begin:
    cmpl $0, (%r11)
    jne interruptible_abort
    cmpl $0, (%rcx)
    jne interruptible_abort
    syscall
interruptible_end:
    ret
interruptible_abort:
    mov $-513, %rax
    ret
    .size interruptible_call, . - interruptible_call
    .section .note.GNU-stack, "", @progbits
