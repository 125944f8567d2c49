/* A calling thread and some guest memory for hosted tests of the call decoder. Guest memory is the
 * array fake_memory at FAKE_MEMORY_AT; nothing else is mapped. */
#include "fake_calls.h"

#include "calls/call.h"
#include "calls/handlers.h"
#include "calls/table_words.h"
#include "process/thread.h"

u8 fake_memory[FAKE_MEMORY_SIZE];
static u8 scratch[SCRATCH_SIZE] __attribute__((aligned(16)));
static char paths[2][PATH_MAX];
static struct thread thread = {.path = {paths[0], paths[1]}, .scratch = scratch};

struct thread *fake_caller(void) {
    thread.scratch_used = 0;
    return &thread;
}

void *scratch_take(struct thread *taker, u64 size) {
    u64 at = taker->scratch_used;
    size = (size + 15) & ~15ul;
    if (size > SCRATCH_SIZE - at)
        return NULL;
    taker->scratch_used += size;
    return scratch + at;
}

bool fake_is_copy(u64 address, u64 size) {
    return (address >= (u64)scratch && address + size <= (u64)scratch + sizeof(scratch)) ||
           (address >= (u64)paths && address + size <= (u64)paths + sizeof(paths));
}

__attribute__((weak)) bool guest_fd_ok(u64 fd) {
    return (s32)fd < FAKE_FD_BASE;
}

static bool mapped(gva_t at, u64 size) {
    return at >= FAKE_MEMORY_AT && size <= FAKE_MEMORY_SIZE &&
           at - FAKE_MEMORY_AT <= FAKE_MEMORY_SIZE - size;
}

long copy_from_guest(void *to, gva_t from, u64 size) {
    if (!mapped(from, size))
        return -EFAULT;
    __builtin_memcpy(to, fake_memory + (from - FAKE_MEMORY_AT), size);
    return 0;
}

long copy_string_from_guest(char *to, gva_t from, u64 size) {
    u64 i;
    for (i = 0; i < size; i++) {
        if (copy_from_guest(to + i, from + i, 1))
            return -EFAULT;
        if (!to[i])
            return (long)i;
    }
    return -ENAMETOOLONG;
}

/* A handler is there where its file is linked. */
#define WEAK(function) _Pragma(#function)
#define CALL(number, text, kind, function, mode, args, words) WEAK(weak function)
#define REFUSE(number, text, error, args, words)
#include "calls/table.def"
#undef CALL
#undef REFUSE

#define CALL(number, text, kind, function, mode, args, words)                                      \
    [number] = {.name = #text,                                                                     \
                .class = CALL_##kind,                                                              \
                .handler = function,                                                               \
                .restart = RESTART_##mode,                                                         \
                .arg = args,                                                                       \
                .note = words},
#define REFUSE(number, text, error, args, words)                                                   \
    [number] = {.name = #text, .class = CALL_REFUSED, .refusal = error, .arg = args, .note = words},

const struct call_entry call_table[CALL_LIMIT] = {
#include "calls/table.def"
};
