/* The targets of ports: instances, each with a relay of its own. */
#ifndef FORWARD_TARGETS_H
#define FORWARD_TARGETS_H

#include "events.h"
#include "packets.h"
#include "protocol.h"

struct target {
    struct watch calls;     /* channels to the relay; no relay: -1 */
    struct watch datagrams; /* watched only while `must_end` */
    struct watch process;   /* pidfd of the instance; -1: none */
    int relay;              /* pidfd */
    bool used;
    bool ready;    /* the relay has said so */
    bool full;     /* the channel for calls takes no more for now */
    bool must_end; /* DATAGRAMS_END could not be sent */
    struct kw_forward_target record;
    const struct kw_forward_counts *counts; /* written by the relay */
    uint64_t dropped;                       /* datagrams that the relay was not there for */
    void (*started)(struct target *target, int error); /* called once; NULL: nobody waits */
};

/* `lost` is called whenever a target's relay has ended by itself. */
void targets_open(void (*lost)(void));
/* Whether there is such a target. */
bool targets_have_lost(void);

/* Start a relay to `wanted`, in a namespace. Both descriptors stay the caller's; `process` -1:
 * none. Returns 0 when it runs already; 1 when `started` will be called, of `*result`; or a
 * negative errno. */
int target_put(const struct kw_forward_target *wanted, int namespace_fd, int process,
               void (*started)(struct target *target, int error), struct target **result);
/* By a name that ends with NUL; NULL: none. */
struct target *target_find(const char *name);
/* The first one at a place or behind; NULL: none. `*index` becomes its place. */
struct target *target_at(uint32_t *index);
uint16_t target_place(const struct target *target);
/* End the relay and with it its connections, and forget the target. */
void target_remove(struct target *target);
void targets_remove_all(void);
bool target_is_alive(const struct target *target);
void target_counts(const struct target *target, struct kw_forward_counts *counts);
uint64_t targets_open_connections(void);

/* Returns 0 or a negative errno. The descriptor stays the caller's. */
int target_call(struct target *target, const struct call *call, int client);
void target_datagram(struct target *target, struct packet *packet);
/* The sessions of a published port end everywhere. */
void targets_end_sessions(uint32_t serial);

#endif
