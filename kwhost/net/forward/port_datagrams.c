/* Datagrams of clients: each goes on to the relay that the client was given, which answers by
 * itself. */
#include <errno.h>
#include <stddef.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "clients.h"
#include "ports.h"
#include "targets.h"

#define DATAGRAMS_A_TURN 64 /* what one port may receive before others are served */
#define CLIENTS 8192

static struct client places[CLIENTS];
static uint16_t target_of[CLIENTS]; /* the place of the target that a client was given */
static struct clients clients = {.places = places, .count = CLIENTS};
static char body[DATAGRAM_MAX];

int datagrams_open(void) {
    ssize_t size = getrandom(&clients.seed, sizeof(clients.seed), 0);
    return size < 0 ? -errno : 0;
}

/* The target that a client was given, if the port still leads there. */
static struct target *given(struct published *port, uint32_t place, uint32_t *at) {
    for (*at = 0; *at < port->count; ++*at) {
        struct target *target = port_target(port, *at);
        if (target && target_place(target) == target_of[place])
            return target;
    }
    return NULL;
}

/* The target that a client has, or is given now; NULL: none can be reached. `*at`: the port's end.
 */
static struct target *choose(struct published *port, const union address *client, uint32_t *at) {
    bool fresh;
    uint32_t place = clients_place(&clients, port->serial, client, now_ms(), &fresh);
    struct target *target = fresh ? NULL : given(port, place, at);
    for (uint32_t i = 0; i < port->count && !target; i++) {
        *at = (port->turn + i) % port->count;
        target = port_target(port, *at);
        if (target) {
            target_of[place] = target_place(target);
            port->turn = *at + 1;
        }
    }
    return target;
}

void datagrams_arrived(struct watch *watch, uint32_t events) {
    struct published *port = PORT_OF(watch);
    (void)events;
    for (int i = 0; i < DATAGRAMS_A_TURN; i++) {
        struct datagram head = {
            .kind = DATAGRAM, .serial = port->serial, .family = port->key.family};
        socklen_t length = sizeof(head.client);
        ssize_t size = recvfrom(watch->fd, body, sizeof(body), 0, &head.client.any, &length);
        if (size < 0)
            return;
        uint32_t at;
        struct target *target = choose(port, &head.client, &at);
        if (!target)
            continue;
        head.number = (uint16_t)port->ends[at].port;
        struct packet packet = {.head = &head,
                                .head_size = sizeof(head),
                                .body = body,
                                .body_size = (size_t)size,
                                .fds = {watch->fd},
                                .fd_count = 1};
        target_datagram(target, &packet);
    }
}
