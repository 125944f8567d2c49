/* clock COUNT: reading the time through the vDSO. */
#include "measure.h"

int main(int argc, char **argv) {
    long count = argument(argc, argv, 1);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t start = now_ns();
    for (long i = 0; i < count; i++)
        clock_gettime(CLOCK_MONOTONIC, &now);
    tell("ns_per_call", (double)(now_ns() - start) / (double)count);
    return 0;
}
