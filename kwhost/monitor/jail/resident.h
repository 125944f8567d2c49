/* A limit on an instance's resident memory where no cgroup holds it: a sample ten times a second.
 * Approximate, and said to be. */
#ifndef KW_JAIL_RESIDENT_H
#define KW_JAIL_RESIDENT_H

#include "base/types.h"

struct resident {
    u64 limit; /* bytes; 0: none */
    u64 next;  /* CLOCK_MONOTONIC, when the next sample is due; 0: never */
};

/* From now on. */
void resident_start(struct resident *resident, u64 limit);

/* Takes a sample if it is due, of the processes in the instance's procfs. Returns the bytes in use
 * when they are beyond the limit, else 0. */
u64 resident_check(struct resident *resident, int procfs);

/* Whether a process or thread of that procfs lives: what has ended has no memory. */
bool resident_lives(int procfs, u32 id);

#endif
