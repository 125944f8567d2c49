/* What a program may put into a signal frame and have loaded by rt_sigreturn. Pure functions: the
 * units in tests/ run them on the host. */
#include "base/text.h"
#include "process/frame.h"

/* RFLAGS a program may choose: AC OF DF TF SF ZF AF PF CF, and RF (Linux's FIX_EFLAGS). */
#define RFLAGS_CHOSEN 0x50dd5ul
#define USER_LIMIT (1ul << 47)
#define FEATURE_X87 1ul
#define FEATURE_SSE 2ul
#define FEATURE_AVX 4ul
#define INITIAL_CONTROL_WORD 0x37f
#define INITIAL_MXCSR 0x1f80u
#define DEFAULT_MXCSR_MASK 0xffbfu

bool frame_load_registers(struct kvm_regs *regs, const struct sigcontext_64 *context) {
    regs->r8 = context->r8;
    regs->r9 = context->r9;
    regs->r10 = context->r10;
    regs->r11 = context->r11;
    regs->r12 = context->r12;
    regs->r13 = context->r13;
    regs->r14 = context->r14;
    regs->r15 = context->r15;
    regs->rdi = context->di;
    regs->rsi = context->si;
    regs->rbp = context->bp;
    regs->rbx = context->bx;
    regs->rdx = context->dx;
    regs->rax = context->ax;
    regs->rcx = context->cx;
    regs->rsp = context->sp;
    regs->rip = context->ip;
    regs->rflags = (regs->rflags & ~RFLAGS_CHOSEN) | (context->flags & RFLAGS_CHOSEN);
    return context->ip < USER_LIMIT;
}

void frame_initial_area(u8 *area) {
    memset(area, 0, XSAVE_SIZE);
    struct _xstate *state = (struct _xstate *)area;
    state->fpstate.cwd = INITIAL_CONTROL_WORD;
    state->fpstate.mxcsr = INITIAL_MXCSR;
    state->xstate_hdr.xfeatures = FEATURE_X87 | FEATURE_SSE;
}

/* The bits this processor has in MXCSR, as FXSAVE reports them. */
static u32 mxcsr_mask(void) {
    _Alignas(16) u8 image[512];
    memset(image, 0, sizeof image);
    __asm__ volatile("fxsave %0" : "=m"(image));
    u32 mask;
    memcpy(&mask, image + offsetof(struct _fpstate_64, mxcsr_mask), sizeof mask);
    return mask ? mask : DEFAULT_MXCSR_MASK;
}

bool frame_check_area(u8 *area, u64 wanted, u64 supported) {
    struct _xstate *state = (struct _xstate *)area;
    struct _fpstate_64 *legacy = &state->fpstate;
    struct _header *header = &state->xstate_hdr;
    if ((header->xfeatures & ~supported) || header->reserved1[0] || header->reserved1[1])
        return false;
    memset(header->reserved2, 0, sizeof header->reserved2);
    header->xfeatures &= wanted;
    /* XRSTOR takes MXCSR from memory when SSE or AVX is wanted, present or not. */
    if (!(wanted & (FEATURE_SSE | FEATURE_AVX)))
        legacy->mxcsr = INITIAL_MXCSR;
    if (legacy->mxcsr & ~mxcsr_mask())
        return false;
    if (!(header->xfeatures & FEATURE_X87)) {
        memset(legacy, 0, offsetof(struct _fpstate_64, mxcsr));
        memset(legacy->st_space, 0, sizeof legacy->st_space);
        legacy->cwd = INITIAL_CONTROL_WORD;
    }
    if (!(header->xfeatures & FEATURE_SSE))
        memset(legacy->xmm_space, 0, sizeof legacy->xmm_space);
    header->xfeatures |= FEATURE_X87 | FEATURE_SSE;
    memset(legacy->reserved2, 0, sizeof legacy->reserved2 + sizeof legacy->sw_reserved);
    return true;
}
