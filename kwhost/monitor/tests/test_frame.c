/* link: process/frame_check.c */
#include "process/frame.h"

#include "check.h"

#define RFLAGS_FORBIDDEN 0xffffffffffbaf22aul /* everything but the flags a program may choose */
#define SUPPORTED 7ul

static _Alignas(64) u8 area[XSAVE_SIZE];
static struct _xstate *state = (struct _xstate *)area;

static void fill(u64 features) {
    memset(area, 0x5a, sizeof area);
    memset(&state->xstate_hdr, 0, sizeof state->xstate_hdr);
    state->xstate_hdr.xfeatures = features;
    state->fpstate.mxcsr = 0x1f80;
}

static void test_registers(void) {
    struct sigcontext_64 context;
    struct kvm_regs regs;
    memset(&context, 0xff, sizeof context);
    memset(&regs, 0, sizeof regs);
    regs.rflags = 0x202;
    CHECK(!frame_load_registers(&regs, &context));
    CHECK_EQUAL(0x202, regs.rflags & RFLAGS_FORBIDDEN);
    CHECK_EQUAL(-1, regs.r15);
    context.ip = (1ul << 47) - 1;
    context.flags = 0;
    CHECK(frame_load_registers(&regs, &context));
    CHECK_EQUAL(0x202, regs.rflags);
    context.ip = 1ul << 47;
    CHECK(!frame_load_registers(&regs, &context));
    context.ip = 0;
    regs.rflags = 0x246;
    context.flags = 0x3000 | 1 << 14 | 1 << 17; /* IOPL, NT, VM */
    CHECK(frame_load_registers(&regs, &context));
    CHECK_EQUAL(0x202, regs.rflags);
}

static void test_initial(void) {
    memset(area, 0xff, sizeof area);
    frame_initial_area(area);
    CHECK_EQUAL(0x37f, state->fpstate.cwd);
    CHECK_EQUAL(0x1f80, state->fpstate.mxcsr);
    CHECK_EQUAL(3, state->xstate_hdr.xfeatures);
    CHECK_EQUAL(0, state->xstate_hdr.reserved1[0]);
    CHECK(frame_check_area(area, SUPPORTED, SUPPORTED));
}

static void test_area(void) {
    fill(7);
    CHECK(frame_check_area(area, 7, SUPPORTED));
    CHECK_EQUAL(7, state->xstate_hdr.xfeatures);
    CHECK_EQUAL(0x5a5a5a5a, state->fpstate.xmm_space[3]);

    fill(7 | 1ul << 9); /* a component the guest does not have */
    CHECK(!frame_check_area(area, 7, SUPPORTED));
    fill(1ul << 63);
    CHECK(!frame_check_area(area, 7, SUPPORTED));
    fill(7);
    state->xstate_hdr.reserved1[0] = 1ul << 63; /* compacted */
    CHECK(!frame_check_area(area, 7, SUPPORTED));
    fill(7);
    state->xstate_hdr.reserved1[1] = 1;
    CHECK(!frame_check_area(area, 7, SUPPORTED));
    fill(7);
    state->xstate_hdr.reserved2[4] = 1; /* not looked at by XRSTOR, but by KVM */
    CHECK(frame_check_area(area, 7, SUPPORTED));
    CHECK_EQUAL(0, state->xstate_hdr.reserved2[4]);

    fill(7);
    state->fpstate.mxcsr = 0xffff0000;
    CHECK(!frame_check_area(area, 7, SUPPORTED));
    fill(7);
    state->fpstate.mxcsr = 0xffff0000;
    CHECK(frame_check_area(area, 1, SUPPORTED)); /* not wanted, not looked at */
    CHECK_EQUAL(0x1f80, state->fpstate.mxcsr);
}

static void test_absent_parts(void) {
    fill(4);
    CHECK(frame_check_area(area, 7, SUPPORTED));
    CHECK_EQUAL(7, state->xstate_hdr.xfeatures);
    CHECK_EQUAL(0x37f, state->fpstate.cwd);
    CHECK_EQUAL(0, state->fpstate.st_space[0]);
    CHECK_EQUAL(0, state->fpstate.xmm_space[63]);
    CHECK_EQUAL(0x5a, area[576]);
    fill(7);
    CHECK(frame_check_area(area, 2, SUPPORTED));
    CHECK_EQUAL(3, state->xstate_hdr.xfeatures);
    CHECK_EQUAL(0x37f, state->fpstate.cwd);
    CHECK_EQUAL(0x5a5a5a5a, state->fpstate.xmm_space[0]);
}

static u32 random_word(void) {
    static u64 seed = 1;
    seed = seed * 6364136223846793005ul + 1442695040888963407ul;
    return (u32)(seed >> 33);
}

/* Whatever the bytes: what passes has no bit that KVM or the processor would choke on. */
static void test_random(void) {
    for (int round = 0; round < 20000; round++) {
        for (size_t i = 0; i < 640; i++)
            area[i] = (u8)random_word();
        if (round & 1)
            memset(&state->xstate_hdr, 0, sizeof state->xstate_hdr);
        if (round & 2)
            state->fpstate.mxcsr &= 0xffbf;
        if (!frame_check_area(area, random_word() & 15, SUPPORTED))
            continue;
        const struct _header *header = &state->xstate_hdr;
        if ((header->xfeatures & ~SUPPORTED) || header->reserved1[0] || header->reserved1[1] ||
            header->reserved2[0] || header->reserved2[4] || (state->fpstate.mxcsr & 0xffff0000))
            CHECK(!"a bad area passed");
    }
    CHECK(1);
}

int main(void) {
    test_registers();
    test_initial();
    test_area();
    test_absent_parts();
    test_random();
    return check_done();
}
