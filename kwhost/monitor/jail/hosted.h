/* What a hosted instance has beside one in the foreground: a log, attachments, limits that are
 * sampled. */
#ifndef KW_JAIL_HOSTED_H
#define KW_JAIL_HOSTED_H

#include "jail/channel.h"
#include "jail/joined.h"
#include "jail/log.h"
#include "jail/resident.h"
#include "jail/streams.h"

struct supervisor;

struct hosted {
    struct log log;
    struct streams streams;
    struct resident resident;
    struct joined_all joined;
    int join[JOIN_FDS]; /* what later processes get; -1 until the first one hands it over */
    u32 join_flags;     /* of their exec records */
    bool told_loss;     /* that the log cannot be written */
    bool out_of_memory; /* killed for it */
};

/* Opens the log, and turns the caller's standard streams into the first attachment or lets them go.
 */
bool hosted_prepare(struct supervisor *supervisor);

/* Does what is due at this time. Returns when the next is, CLOCK_MONOTONIC; 0: nothing is planned.
 */
u64 hosted_keep_time(struct supervisor *supervisor, u64 now);

/* Writes the rest of the log and tells about it. */
void hosted_finish(struct supervisor *supervisor);

#endif
