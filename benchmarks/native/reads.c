/* reads FILE BLOCK_KIB ROUNDS: reading a file that lies in the page cache, with read(2) in blocks,
 * or through a mapping when BLOCK_KIB is 0. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure.h"

#define PIECE (1ul << 20)

static void read_piece(int file, char *buffer, size_t block, size_t from) {
    for (size_t at = from; at < from + PIECE; at += block)
        must(pread(file, buffer, block, (off_t)at) == (ssize_t)block, "read");
}

static void sum_piece(const volatile uint8_t *memory) {
    volatile uint64_t result;
    uint64_t sum = 0;
    for (size_t at = 0; at < PIECE; at += 64)
        sum += memory[at];
    result = sum;
    (void)result;
}

int main(int argc, char **argv) {
    size_t block = (size_t)argument(argc, argv, 2) << 10;
    long rounds = argument(argc, argv, 3);
    int file = open(argv[1], O_RDONLY | O_CLOEXEC);
    must(file >= 0, argv[1]);
    struct stat stat;
    must(fstat(file, &stat) == 0, "fstat");
    size_t size = (size_t)stat.st_size & ~(PIECE - 1);
    char *buffer = malloc(PIECE);
    must(buffer != NULL, "malloc");
    read_piece(file, buffer, PIECE, 0); /* the buffer is there from now on */
    struct pieces pieces = pieces_for((size_t)rounds * size / PIECE);
    for (long i = 0; i < rounds; i++) {
        uint8_t *memory = block ? NULL : mmap(NULL, size, PROT_READ, MAP_PRIVATE, file, 0);
        must(memory != MAP_FAILED, "mmap");
        for (size_t at = 0; at < size; at += PIECE) {
            uint64_t start = now_ns();
            if (block)
                read_piece(file, buffer, block, at);
            else
                sum_piece(memory + at);
            piece_add(&pieces, now_ns() - start);
        }
        if (memory)
            munmap(memory, size);
    }
    tell("ns_per_mib", piece_at(&pieces, 0.5));
    return 0;
}
