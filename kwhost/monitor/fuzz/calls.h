/* What the fuzz targets of the call decoder share. */
#ifndef KW_FUZZ_CALLS_H
#define KW_FUZZ_CALLS_H

#include "calls/call.h"
#include "tests/fake_calls.h"

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            __builtin_trap();                                                                      \
    } while (0)

/* Takes an input apart: call number (any), six registers, then the guest's memory, the rest of
 * which is zero. Returns the bytes of memory that it had, or -EINVAL where it is too short. */
static inline s64 take_call(struct call *call, const u8 *data, u64 size) {
    u16 nr;

    if (size < sizeof(nr) + sizeof(call->arg))
        return -EINVAL;
    __builtin_memcpy(&nr, data, sizeof(nr));
    __builtin_memcpy(call->arg, data + sizeof(nr), sizeof(call->arg));
    data += sizeof(nr) + sizeof(call->arg);
    size = min_u64(size - sizeof(nr) - sizeof(call->arg), FAKE_MEMORY_SIZE);
    __builtin_memset(fake_memory, 0, sizeof(fake_memory));
    __builtin_memcpy(fake_memory, data, size);
    /* Half of the addresses shall hit the guest's memory. */
    for (u32 i = 0; i < 6; i++)
        if (call->arg[i] & 0x8000)
            call->arg[i] = FAKE_MEMORY_AT + (call->arg[i] & 0xfff);
    call->nr = nr;
    return (s64)size;
}

#endif
