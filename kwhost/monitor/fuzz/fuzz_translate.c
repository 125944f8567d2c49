/* link: tests/fake_calls.c calls/translate.c calls/control_data.c */
/* Whatever the registers and the guest's memory hold: after translation the host can only be told
 * of guest memory, of copies, or of addresses that are never valid. Input: call number, six
 * registers, then the guest's memory. */
#include "calls/control_data.h"
#include "calls/translate.h"
#include "fuzz/calls.h"

static void check_pointer(u64 value, u64 size) {
    MUST(value == 0 || (value & ~7ul) == WILD_POINTER || fake_is_copy(value, 1) ||
         (value >= WINDOW_BASE && value < WINDOW_BASE + WINDOW_SIZE &&
          size <= WINDOW_BASE + WINDOW_SIZE + WINDOW_GUARD - value));
}

static void check_vector(u64 value, u64 count) {
    const struct iovec *vector = (const struct iovec *)value;
    u64 i;

    if (value == WILD_POINTER)
        return;
    MUST(fake_is_copy(value, count * sizeof(*vector)));
    for (i = 0; i < count; i++) {
        MUST((s64)vector[i].iov_len <= 0x7ffff000);
        check_pointer((u64)vector[i].iov_base,
                      vector[i].iov_base == (void *)WILD_POINTER ? 0 : vector[i].iov_len);
    }
}

static void check_argument(const struct call *call, const struct arg *arg, u64 value) {
    u64 length = call->arg[arg->extra & 7];

    switch (arg->kind) {
    case ARG_FD:
    case ARG_DIRFD:
        MUST((s64)value < FAKE_FD_BASE);
        break;
    case ARG_PATH:
    case ARG_STRING:
        MUST(!value || fake_is_copy(value, 1));
        break;
    case ARG_IN:
    case ARG_OUT:
        check_pointer(value, arg->extra & ARG_LENGTH_32 ? (u32)length : length);
        break;
    case ARG_IOVEC:
        check_vector(value, (u32)length);
        break;
    case ARG_NONE:
        MUST(value == 0);
        break;
    case ARG_INT:
    case ARG_SIGNAL:
    case ARG_FLAGS:
    case ARG_MODE:
    case ARG_PID:
        break;
    default:
        check_pointer(value, 0);
        break;
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, u64 size);
int LLVMFuzzerTestOneInput(const u8 *data, u64 size) {
    struct call call = {.thread = fake_caller()};
    struct host_args host_args;
    s64 filled = take_call(&call, data, size);

    if (filled < 0)
        return 0;
    (void)control_data_check(fake_memory, (u64)filled);
    call.nr %= CALL_LIMIT;
    if (!call_table[call.nr].name)
        return 0;
    if (translate_args(&call, &call_table[call.nr], &host_args))
        return 0;
    for (u32 i = 0; i < 6; i++)
        check_argument(&call, &call_table[call.nr].arg[i], host_args.value[i]);
    return 0;
}
