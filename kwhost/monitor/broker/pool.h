/* The broker's workers: made when there is a job and none is idle, one for each call that waits.
 * Behind each of those is a thread of the instance's that waits as well, so that they are as many
 * as the instance may have, and what they wait for may need another one. Calls that do not wait
 * have few: a job that finds these busy waits for one, and with it all that comes after. */
#ifndef KW_BROKER_POOL_H
#define KW_BROKER_POOL_H

#include "broker/worker.h"

#define POOL_WORKERS 4096 /* calls that come after these wait where they are, in the kernel */
#define POOL_AT_WORK 16   /* that may not be waiting */

struct pool_worker {
    int pidfd;
    u32 generation; /* of the listeners that it inherited; 0: there is none, or it is known to be
                       gone */
    u64 since;      /* CLOCK_MONOTONIC ns: when it got its job */
    u64 look_at;    /* likewise: when to look whether its caller waits still */
    u64 signals;    /* of the caller's process, that were there ... */
    u32 looks;      /* ... so many times before */
    bool freezes;   /* whether the instance was being paused the last time */
};

struct pool {
    struct place *places; /* POOL_WORKERS of them, shared with the workers */
    struct place_bell *bell;
    struct pool_worker *workers; /* likewise: they would each have copies of its pages otherwise */
    u32 used;                    /* from here on no place has a worker */
    u32 generation;
    bool full; /* `next` waits for a worker: there is no room for another job */
    struct job next;
};

/* Returns 0 or a negative errno. */
long pool_start(struct pool *pool);

/* Hands the job to a worker, now or later. Not while it is full. */
void pool_give(struct pool *pool, const struct job *job);

/* There is another listener, or one less: workers that have not got the same are made anew. */
void pool_renew(struct pool *pool);

/* Ends the waiting of workers whose callers are gone or have a signal to handle, and hands out what
 * waits; `rung`: the bell is ready for reading. Returns when to come again, CLOCK_MONOTONIC ns; 0:
 * not before the bell or another job. */
u64 pool_tend(struct pool *pool, bool rung);

#endif
