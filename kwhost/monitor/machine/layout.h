/* Where ring 0 lives and what its structures look like (Intel SDM volume 3, chapters 3, 6 and 8).
 */
#ifndef KW_MACHINE_LAYOUT_H
#define KW_MACHINE_LAYOUT_H

/* Ring 0 pages: above the window's addresses, below the canonical hole. */
#define KERNEL_BASE 0x600000000000
#define KERNEL_ENTRY (KERNEL_BASE)             /* SYSCALL entry code, one page */
#define KERNEL_ENTRY_COMPAT (KERNEL_BASE + 16) /* the same for SYSCALL in 32-bit code */
#define KERNEL_STUBS (KERNEL_BASE + 0x1000)    /* exception stubs, one page */
#define KERNEL_IDT (KERNEL_BASE + 0x2000)      /* one page */
#define KERNEL_TEST (KERNEL_BASE + 0x3000)     /* ring 3 code of the self-test, gone afterwards */
#define KERNEL_VCPU (KERNEL_BASE + 0x10000)    /* one page per vCPU: GDT, TSS, ring 0 stack */

#define STUB_SIZE 16
#define PORT_SYSCALL 0x30
#define PORT_EXCEPTION 0x31
#define PORT_COMPAT 0x32

#define SELECTOR_KERNEL_CODE 0x10
#define SELECTOR_KERNEL_DATA 0x18
#define SELECTOR_USER_32 0x23 /* base of SYSRET's pair: data is +8, 64-bit code +16 */
#define SELECTOR_USER_DATA 0x2b
#define SELECTOR_USER_CODE 0x33
#define SELECTOR_TSS 0x40
#define SELECTOR_CPU 0x7b /* GDT entry 15: its limit is the CPU number, read with LSL */

/* Inside a vCPU's page. */
#define VCPU_GDT 0
#define VCPU_GDT_SIZE 128
#define VCPU_TSS 256
#define VCPU_TSS_BITMAP 104 /* I/O permission bitmap, from the start of the TSS */
#define VCPU_TSS_SIZE (VCPU_TSS_BITMAP + 9)
#define VCPU_STACK_TOP 4096

#endif
