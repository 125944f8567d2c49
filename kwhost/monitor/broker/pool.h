/* The broker's workers: made when there is a job and none is idle, so many at most. Further jobs
 * wait for one, in turns with those that can only wait themselves: what they wait for may be among
 * the others. */
#ifndef KW_BROKER_POOL_H
#define KW_BROKER_POOL_H

#include "broker/worker.h"

#define POOL_WORKERS (KW_POLICY_QUESTIONS + 64) /* open questions leave room for calls */
#define POOL_WAITING 4096 /* jobs; beyond them calls are refused with EAGAIN */

struct pool_worker {
    int pidfd;      /* -1: never was one here, or it is known to be gone */
    u32 generation; /* of the listeners that it inherited */
    u64 look_at;    /* CLOCK_MONOTONIC ns: when to look whether its caller waits still */
    u64 signals;    /* that the caller had the last time */
    bool freezes;   /* whether the instance was being paused the last time */
};

struct pool {
    struct place *places; /* POOL_WORKERS of them, shared with the workers */
    struct place_bell *bell;
    struct pool_worker workers[POOL_WORKERS];
    u32 generation;
    u32 first, count; /* of those that wait */
    struct job waiting[POOL_WAITING];
};

/* Returns 0 or a negative errno. */
long pool_start(struct pool *pool);

/* Hands the job to a worker, now or later. */
void pool_give(struct pool *pool, const struct job *job);

/* There is another listener, or one less: workers that have not got the same are made anew. */
void pool_renew(struct pool *pool);

/* Ends the waiting of workers whose callers are gone or have a signal to handle, and hands out what
 * waits; `rung`: the bell is ready for reading. Returns when to come again, CLOCK_MONOTONIC ns; 0:
 * not before the bell or another job. */
u64 pool_tend(struct pool *pool, bool rung);

#endif
