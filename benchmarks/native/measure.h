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
