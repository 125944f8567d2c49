/* clock COUNT: reading the time through the vDSO; the fastest tenth of pieces of 1000. */
#include "measure.h"

#define PIECE 1000

int main(int argc, char **argv) {
    long count = argument(argc, argv, 1);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    struct pieces pieces = pieces_for((size_t)count / PIECE);
    for (long done = 0; done < count; done += PIECE) {
        uint64_t start = now_ns();
        for (int i = 0; i < PIECE; i++)
            clock_gettime(CLOCK_MONOTONIC, &now);
        piece_add(&pieces, now_ns() - start);
    }
    tell("ns_per_call", piece_at(&pieces, 0.1) / PIECE);
    return 0;
}
