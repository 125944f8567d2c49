/* A process of the broker's that makes one call after another, or asks about them: what may take
 * long. */
#ifndef KW_BROKER_WORKER_H
#define KW_BROKER_WORKER_H

#include "broker/request.h"
#include "jail/record.h"

struct job {
    struct broker_request request;
    u64 began;                   /* stats_ticks(), when it came */
    bool judged;                 /* by its number, its arguments and how often it is made */
    const struct launch *begins; /* what it begins: it is the last step of a launch; NULL: it is a
                                  * program's own */
};

/* Where the broker and one worker meet. */
enum place_state {
    PLACE_FREE,    /* there is no worker; the worker's last word, or the broker's where it died */
    PLACE_IDLE,    /* it waits */
    PLACE_BUSY,    /* it has a job, or is to find one when it begins */
    PLACE_LEAVING, /* it is to end */
};
struct place {
    u32 state;  /* futex */
    s32 ending; /* what a call returns that was interrupted; 0: it was not, and is made again */
    struct job job;
};

/* Told to the broker by an eventfd when a worker has no job any more, if `wanted` says 1. */
struct place_bell {
    u32 wanted;
    int fd;
};

/* Runs in the new process. It ends by itself when there was nothing to do for a while. */
_Noreturn void worker_run(struct place *place, struct place_bell *bell);

/* Once, in the broker: what ends a worker's waiting does so, and nothing else. */
void worker_prepare(void);
#define WORKER_KICK SIGUSR1

/* Whether a call that may go on is one for a worker. */
bool worker_is_needed(const struct broker_request *request);

#endif
