/* The process that lets others into a hosted instance: a child of supervise's, born before
 * supervise gives up the host calls that this takes, which are far more than it needs itself. It
 * knows what supervise knew when the instance was made, and gets the rest with each request. It
 * ends when supervise does. */
#ifndef KW_JAIL_JOINER_H
#define KW_JAIL_JOINER_H

#include "jail/join.h"

struct supervisor;

/* Makes it, with supervise's end of a socket pair to it in *channel. `born` is as in struct
 * joined_all. */
bool joiner_start(const struct supervisor *supervisor, int *born, int *channel,
                  struct failure *failure);

/* What supervise gets for a program that is on its way; all of it is the caller's. */
struct joiner_way {
    int helper_pid; /* of a child of supervise's */
    int helper;     /* pidfd */
    int channel;
};

/* Has a program join; `place` says which word of `born` is its, `shared` are those of enum join_fd
 * (-1: none), `flags` are for its exec record, and the `count` descriptors came with the request:
 * all stay the caller's. Returns 0 or a negative errno, -EPIPE when the joiner is gone. */
long joiner_join(int channel, u32 place, u32 flags, const int shared[JOIN_FDS], const int *fds,
                 u32 count, struct joiner_way *way);

/* A new socket in the instance's network: a descriptor of the caller's, or a negative errno. */
long joiner_socket(int channel, u32 family, u32 type);

#endif
