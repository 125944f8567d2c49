/* calls COUNT: one cheap system call, many times; the median of pieces of 100. */
#include <sys/syscall.h>
#include <unistd.h>

#include "measure.h"

#define PIECE 100

int main(int argc, char **argv) {
    long count = argument(argc, argv, 1);
    for (int i = 0; i < 100; i++)
        syscall(SYS_getppid);
    struct pieces pieces = pieces_for((size_t)count / PIECE);
    for (long done = 0; done < count; done += PIECE) {
        uint64_t start = now_ns();
        for (int i = 0; i < PIECE; i++)
            syscall(SYS_getppid);
        piece_add(&pieces, now_ns() - start);
    }
    tell("ns_per_call", piece_at(&pieces, 0.5) / PIECE);
    return 0;
}
