/* Starting a relay. */
#ifndef FORWARD_SPAWN_H
#define FORWARD_SPAWN_H

#include "protocol.h"

struct relay_ends {
    int calls; /* channels, the server's ends */
    int datagrams;
    int process;                            /* pidfd of the relay */
    const struct kw_forward_counts *counts; /* mapped; unmap_counts */
};

/* Descriptors of a relay. */
enum { RELAY_CALLS = 3, RELAY_DATAGRAMS = 4, RELAY_COUNTS = 5, RELAY_NAMESPACE = 6 };

/* Returns 0 or a negative errno, with nothing left open. The namespace's descriptor stays the
 * caller's. */
int spawn_relay(const struct kw_forward_target *target, int namespace_fd, struct relay_ends *ends);
void unmap_counts(const struct kw_forward_counts *counts);

#endif
