/* Where the kernel enters the monitor: the initial stack is argc, argv, envp and auxv. */

        .text
        .globl  _start
_start:
        xor     %ebp, %ebp
        mov     %rsp, %rdi
        and     $-16, %rsp
        call    monitor_start
        hlt

        .section .note.GNU-stack, "", @progbits
