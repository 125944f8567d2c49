/* A bounded table of who sent datagrams. What belongs to a client is kept by the caller, in an
 * array with the same places. */
#ifndef FORWARD_CLIENTS_H
#define FORWARD_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "packets.h"

#define CLIENTS_WAYS 8 /* places that one client can be at; the longest silent one is given up */

struct client {
    bool used;
    uint32_t serial; /* of the published port */
    union address address;
    uint64_t heard_ms;
};

struct clients {
    struct client *places; /* `count` of them, a multiple of CLIENTS_WAYS; the caller's */
    uint32_t count;
    uint64_t seed; /* a secret: nobody can choose addresses that share their places */
};

/* The client's place. `fresh`: it was not there, and what was at the place is given up. */
uint32_t clients_place(struct clients *clients, uint32_t serial, const union address *address,
                       uint64_t at_ms, bool *fresh);

#endif
