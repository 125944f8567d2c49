/* One direction of a connection. */
#ifndef FORWARD_RELAY_FLOW_H
#define FORWARD_RELAY_FLOW_H

#include <stdbool.h>
#include <stdint.h>

/* What was read and not yet written is in a pipe, that is in the kernel, and of a bounded size. A
 * flow has a pipe only while there is something in it: connections that are silent have none. */
struct flow {
    int pipe[2]; /* -1: none */
    uint32_t held;
    bool ended; /* its source has said all */
    bool shut;  /* and its sink was told so */
    uint64_t *count;
};

#define NO_FLOW                                                                                    \
    { {-1, -1}, 0, false, false, 0 }

/* Move what can be moved without waiting, and no more than a turn's share. Returns 0 or a negative
 * errno, after which the connection is of no use. */
int flow_move(struct flow *flow, int from, int to);
/* Give the pipe back or, if there is something in it, close it. */
void flow_end(struct flow *flow);

#endif
