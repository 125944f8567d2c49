/* Where the host kernel returns to from the monitor's signal handlers: rt_sigreturn. */
    .text
    .globl host_signal_return
    .type host_signal_return, @function
host_signal_return:
    mov $15, %eax
    syscall
    ud2
    .size host_signal_return, . - host_signal_return
    .section .note.GNU-stack, "", @progbits
