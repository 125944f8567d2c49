/* reads FILE BLOCK_KIB ROUNDS: reading a file that lies in the page cache, with read(2) in blocks,
 * or through a mapping when BLOCK_KIB is 0. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure.h"

static uint64_t read_blocks(int file, char *buffer, size_t block) {
    uint64_t total = 0;
    for (ssize_t got; (got = pread(file, buffer, block, (off_t)total)) > 0;)
        total += (uint64_t)got;
    return total;
}

static uint64_t read_mapping(int file, size_t size) {
    const volatile uint8_t *memory = mmap(NULL, size, PROT_READ, MAP_PRIVATE, file, 0);
    must(memory != MAP_FAILED, "mmap");
    uint64_t sum = 0;
    for (size_t at = 0; at < size; at += 64)
        sum += memory[at];
    munmap((void *)memory, size);
    return sum ? size : 0;
}

int main(int argc, char **argv) {
    size_t block = (size_t)argument(argc, argv, 2) << 10;
    long rounds = argument(argc, argv, 3);
    int file = open(argv[1], O_RDONLY | O_CLOEXEC);
    must(file >= 0, argv[1]);
    struct stat stat;
    must(fstat(file, &stat) == 0, "fstat");
    char *buffer = malloc(block + 1);
    must(buffer != NULL, "malloc");
    must(read_blocks(file, buffer, block ? block : 1) > 0 || !block, "read");
    uint64_t start = now_ns(), total = 0;
    for (long i = 0; i < rounds; i++)
        total +=
            block ? read_blocks(file, buffer, block) : read_mapping(file, (size_t)stat.st_size);
    uint64_t took = now_ns() - start;
    must(total == (uint64_t)stat.st_size * (uint64_t)rounds, "reading all");
    tell("ns_per_mib", (double)took / ((double)total / (1 << 20)));
    return 0;
}
