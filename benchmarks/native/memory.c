/* memory MEBIBYTES STEP_KIB CHUNK_KIB [reserve]: the first write to each page of anonymous memory,
 * taken in one mapping (CHUNK_KIB 0) or in mappings of that size; then a second pass over the same
 * pages. With `reserve` each mapping is inaccessible at first, as allocators of Go, V8 and Java
 * have it. */
#include <sys/mman.h>

#include "measure.h"

static uint64_t touch(volatile uint8_t *memory, size_t size, size_t step) {
    uint64_t start = now_ns();
    for (size_t at = 0; at < size; at += step)
        memory[at] = 1;
    return now_ns() - start;
}

static uint8_t *take(size_t size, int reserve) {
    int access = PROT_READ | PROT_WRITE;
    uint8_t *memory =
        mmap(NULL, size, reserve ? PROT_NONE : access, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(memory != MAP_FAILED, "mmap");
    must(!reserve || mprotect(memory, size, access) == 0, "mprotect");
    return memory;
}

int main(int argc, char **argv) {
    size_t total = (size_t)argument(argc, argv, 1) << 20;
    size_t step = (size_t)argument(argc, argv, 2) << 10, chunk = (size_t)argument(argc, argv, 3)
                                                                 << 10;
    uint64_t first = 0, second = 0;
    if (!chunk)
        chunk = total;
    for (size_t at = 0; at < total; at += chunk) {
        uint64_t start = now_ns();
        uint8_t *memory = take(chunk, argc > 4);
        first += now_ns() - start + touch(memory, chunk, step);
        second += touch(memory, chunk, step);
    }
    tell("first_ns", (double)first);
    tell("second_ns", (double)second);
    return 0;
}
