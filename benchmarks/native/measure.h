/* What the measuring programs share: time, and one line of output per figure. */
#ifndef KW_BENCHMARKS_MEASURE_H
#define KW_BENCHMARKS_MEASURE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Work is timed in pieces shorter than a time slice: on a busy machine many of them still pass
 * without another process in between. */
struct pieces {
    uint64_t *took;
    size_t count, room;
};

static inline struct pieces pieces_for(size_t room) {
    return (struct pieces){.took = calloc(room ? room : 1, sizeof(uint64_t)), .room = room};
}

static inline void piece_add(struct pieces *pieces, uint64_t ns) {
    if (pieces->took && pieces->count < pieces->room)
        pieces->took[pieces->count++] = ns;
}

static int piece_order(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* The piece that `part` of them (0.0: none, 0.5: half) were faster than. */
static inline double piece_at(struct pieces *pieces, double part) {
    if (!pieces->count)
        return 0;
    qsort(pieces->took, pieces->count, sizeof *pieces->took, piece_order);
    return (double)pieces->took[(size_t)((double)(pieces->count - 1) * part)];
}

/* The harness reads "NAME VALUE" lines. */
static inline void tell(const char *name, double value) {
    printf("%s %.3f\n", name, value);
}

static inline void must(int good, const char *what) {
    if (good)
        return;
    perror(what);
    exit(1);
}

/* An argument that the harness always gives. */
static inline long argument(int argc, char **argv, int at) {
    if (at < argc)
        return atol(argv[at]);
    fprintf(stderr, "%s: argument %d is missing\n", argv[0], at);
    exit(2);
}

#endif
