/* long clone_start(u64 flags, void *stack_top, int *parent_tid, int *child_tid, struct thread *thread):
 * clone(2) on a stack of its own; the child continues in clone_child(thread) and never returns.
 * `stack_top` is 16-byte aligned. Returns the child's id or a negative errno. */

        .text
        .globl  clone_start
clone_start:
        mov     %rcx, %r10              /* child_tid */
        mov     %r8, %r9                /* thread: survives the call in a register */
        xor     %r8d, %r8d
        mov     $56, %eax               /* __NR_clone */
        syscall
        test    %rax, %rax
        jz      1f
        ret
1:      xor     %ebp, %ebp
        mov     %r9, %rdi
        call    clone_child
        hlt

        .section .note.GNU-stack, "", @progbits
