/* The published ports, and which target takes a call. */
#ifndef FORWARD_PORTS_H
#define FORWARD_PORTS_H

#include "events.h"
#include "packets.h"
#include "protocol.h"

struct published {
    struct watch listener;
    bool used;
    uint32_t serial; /* never 0, never used twice */
    struct kw_forward_port key;
    uint32_t count;
    uint32_t turn; /* the end whose turn is next */
    struct kw_forward_end ends[KW_FORWARD_ENDS_MAX];
    uint16_t places[KW_FORWARD_ENDS_MAX]; /* where the ends' targets were last */
    int held;                             /* a call that no relay had room for; -1: none */
    struct call held_call;
};

/* Both return 0 or a negative errno. The listening socket stays the caller's. */
int port_add(const struct kw_forward_port *key, int listener, const struct kw_forward_end *ends,
             uint32_t count);
int port_lead(const struct kw_forward_port *key, const struct kw_forward_end *ends, uint32_t count);
void port_remove(const struct kw_forward_port *key);
void ports_remove_all(void);
/* The first one at a place or behind; NULL: none. `*index` becomes its place. */
struct published *port_at(uint32_t *index);

/* A relay gives a call back, and the client with it. */
void ports_retry(const struct call *call, int client);
/* A relay may have room again, or is gone. */
void ports_try_held(void);

/* In port_datagrams.c. */
int datagrams_open(void);
void datagrams_arrived(struct watch *watch, uint32_t events);
/* The port's end at a place, if its target can be reached; NULL otherwise. */
struct target *port_target(struct published *port, uint32_t at);

#define PORT_OF(watch) ((struct published *)((char *)(watch)-offsetof(struct published, listener)))

#endif
