/* memory MEBIBYTES STEP_KIB CHUNK_KIB: the first write to each page of anonymous memory, taken in
 * one mapping (CHUNK_KIB 0) or in mappings of that size; then a second pass over the same pages. */
#include <sys/mman.h>

#include "measure.h"

static uint64_t touch(volatile uint8_t *memory, size_t size, size_t step) {
    uint64_t start = now_ns();
    for (size_t at = 0; at < size; at += step)
        memory[at] = 1;
    return now_ns() - start;
}

int main(int argc, char **argv) {
    size_t total = (size_t)argument(argc, argv, 1) << 20, step = (size_t)argument(argc, argv, 2)
                                                                 << 10;
    size_t chunk = (size_t)argument(argc, argv, 3) << 10;
    uint64_t first = 0, second = 0;
    if (!chunk)
        chunk = total;
    /* A page kept unmapped between the chunks keeps the kernel from making one mapping of them. */
    for (size_t at = 0; at < total; at += chunk) {
        uint8_t *memory = mmap(NULL, chunk + 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        must(memory != MAP_FAILED, "mmap");
        uint64_t start = now_ns();
        must(mprotect(memory, chunk, PROT_READ | PROT_WRITE) == 0, "mprotect");
        first += now_ns() - start + touch(memory, chunk, step);
        second += touch(memory, chunk, step);
    }
    tell("first_ns", (double)first);
    tell("second_ns", (double)second);
    return 0;
}
