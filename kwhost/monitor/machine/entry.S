/* All code that runs in the guest's ring 0 (or, for the SYSCALL entry under software KVM, in ring 3):
 * copied into the guest's kernel pages when the machine is made. It only leaves the VM; the monitor
 * does the rest, and never resumes inside a stub. */

#include "machine/layout.h"

        .section .rodata
        .globl  entry_code, entry_code_end, entry_stubs, entry_stubs_end
        .globl  entry_test, entry_test_end

        /* LSTAR. The monitor has set RCX and R11, or is the one to continue at RCX itself. */
entry_code:
        out     %al, $PORT_SYSCALL
        sysretq

        /* CSTAR: SYSCALL in 32-bit code, which is not served. */
        .org    entry_code + (KERNEL_ENTRY_COMPAT - KERNEL_ENTRY)
        out     %al, $PORT_COMPAT
        hlt
entry_code_end:

        /* One stub per exception vector; RIP tells which. What follows the `out` never runs: the
         * monitor reads the frame and loads a ring 3 context. */
        .balign STUB_SIZE
entry_stubs:
        .rept   32
        .balign STUB_SIZE, 0xf4
        out     %al, $PORT_EXCEPTION
        hlt
        .endr
        .balign STUB_SIZE, 0xf4
entry_stubs_end:

        /* Ring 3, once per instance: where does SYSCALL land? */
entry_test:
        syscall
        hlt
entry_test_end:

        .section .note.GNU-stack, "", @progbits
