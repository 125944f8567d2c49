/* Fault-safe copies. A fault on the marked instructions is answered by the SIGSEGV handler, which
 * continues at copy_fault (window_fixup), so the caller gets -EFAULT and nothing else happens. */

        .text
        .globl  copy_bytes, fill_zero, copy_until_nul, guest_compare_swap, touch_byte
        .globl  copy_first, copy_last, copy_fault

/* long copy_bytes(void *to, const void *from, u64 size): 0 or -EFAULT */
copy_bytes:
        mov     %rdx, %rcx
copy_first:
        rep movsb
        xor     %eax, %eax
        ret

/* long fill_zero(void *to, u64 size): 0 or -EFAULT */
fill_zero:
        mov     %rsi, %rcx
        xor     %eax, %eax
        rep stosb
        ret

/* long copy_until_nul(char *to, const char *from, u64 size): bytes before the NUL; size when there
 * is none; -EFAULT */
copy_until_nul:
        xor     %ecx, %ecx
1:      cmp     %rdx, %rcx
        je      2f
        movzbl  (%rsi,%rcx), %eax
        mov     %al, (%rdi,%rcx)
        test    %al, %al
        jz      2f
        inc     %rcx
        jmp     1b
2:      mov     %rcx, %rax
        ret

/* long guest_compare_swap(void *word, u32 expected, u32 desired): 0 swapped, 1 differs, -EFAULT */
guest_compare_swap:
        mov     %esi, %eax
        lock cmpxchgl %edx, (%rdi)
        setne   %al
        movzbl  %al, %eax
        ret

/* long touch_byte(void *at, bool write): 0, with the byte's page present for such an access; -EFAULT */
touch_byte:
        xor     %eax, %eax
        test    %sil, %sil
        jnz     1f
        testb   $0, (%rdi)
        ret
1:      lock orb $0, (%rdi)
copy_last:
        ret

copy_fault:
        mov     $-14, %rax
        ret

        .section .note.GNU-stack, "", @progbits
