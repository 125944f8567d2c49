#include "ports.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "request.h"
#include "targets.h"

#define CALLS_A_TURN 64 /* what one port may accept before others are served */

static struct published ports[KW_FORWARD_PORTS_MAX];
static uint32_t last_serial;

static struct published *find(const struct kw_forward_port *key) {
    for (uint32_t i = 0; i < KW_FORWARD_PORTS_MAX; i++)
        if (ports[i].used && port_is_same(&ports[i].key, key))
            return &ports[i];
    return NULL;
}

struct published *port_at(uint32_t *index) {
    for (; *index < KW_FORWARD_PORTS_MAX; ++*index)
        if (ports[*index].used)
            return &ports[*index];
    return NULL;
}

/* The caller sees that nobody took its call, not that somebody heard it out. */
static void reset(int client) {
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close(client);
}

struct target *port_target(struct published *port, uint32_t at) {
    uint32_t place = port->places[at];
    const char *name = port->ends[at].target;
    struct target *target = target_at(&place);
    if (!target || place != port->places[at] || strcmp(target->record.name, name) != 0) {
        target = target_find(name);
        if (target)
            port->places[at] = target_place(target);
    }
    return target && target->ready ? target : NULL;
}

/* Give a call to the next target in turn that has not refused it. Returns false when all that are
 * left are busy: the client stays the caller's. Otherwise it is taken or reset. */
static bool dispatch(struct published *port, struct call *call, int client) {
    bool busy = false;
    for (uint32_t i = 0; i < port->count; i++) {
        uint32_t at = (port->turn + i) % port->count;
        struct target *target = call->tried >> at & 1 ? NULL : port_target(port, at);
        if (!target)
            continue;
        call->position = at;
        call->number = (uint16_t)port->ends[at].port;
        int error = target_call(target, call, client);
        if (!error) {
            port->turn = at + 1;
            close(client);
            return true;
        }
        busy = busy || error == -EAGAIN;
    }
    if (busy)
        return false;
    reset(client);
    return true;
}

/* Keep one call that nobody has room for; the kernel keeps those behind it. */
static void hold(struct published *port, const struct call *call, int client) {
    port->held = client;
    port->held_call = *call;
    watch_change(&port->listener, 0);
}

static void calls_arrived(struct watch *watch, uint32_t events) {
    struct published *port = PORT_OF(watch);
    (void)events;
    for (int i = 0; i < CALLS_A_TURN && port->held < 0; i++) {
        int client = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client < 0)
            return;
        struct call call = {.kind = CALL_CONNECT,
                            .port = (uint32_t)(port - ports),
                            .serial = port->serial,
                            .family = port->key.family};
        if (!dispatch(port, &call, client))
            hold(port, &call, client);
    }
}

void ports_retry(const struct call *call, int client) {
    struct published *port = call->port < KW_FORWARD_PORTS_MAX ? &ports[call->port] : NULL;
    if (!port || !port->used || port->serial != call->serial ||
        call->position >= KW_FORWARD_ENDS_MAX) {
        reset(client);
        return;
    }
    struct call again = *call;
    again.kind = CALL_CONNECT;
    again.tried |= 1ull << call->position;
    if (!dispatch(port, &again, client)) {
        if (port->held < 0)
            hold(port, &again, client);
        else
            reset(client);
    }
}

void ports_try_held(void) {
    for (uint32_t i = 0; i < KW_FORWARD_PORTS_MAX; i++) {
        struct published *port = &ports[i];
        if (port->used && port->held >= 0 && dispatch(port, &port->held_call, port->held)) {
            port->held = -1;
            watch_change(&port->listener, EPOLLIN);
        }
    }
}

static int option(int fd, int name) {
    int value = 0;
    socklen_t size = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, name, &value, &size) < 0 ? -1 : value;
}

/* Whether a socket is what was said of it: another one would make LIST lie. */
static bool is_listener(const struct kw_forward_port *key, int fd) {
    union address address = {0};
    socklen_t size = sizeof(address);
    bool stream = key->transport == KW_FORWARD_TCP;
    struct kw_forward_port found = {.transport = key->transport, .family = key->family};
    if (option(fd, SO_DOMAIN) != (key->family == 4 ? AF_INET : AF_INET6) ||
        option(fd, SO_PROTOCOL) != key->transport || option(fd, SO_ACCEPTCONN) != stream ||
        getsockname(fd, &address.any, &size) < 0)
        return false;
    found.number = ntohs(key->family == 4 ? address.v4.sin_port : address.v6.sin6_port);
    if (key->family == 4)
        memcpy(found.address, &address.v4.sin_addr, 4);
    else
        memcpy(found.address, &address.v6.sin6_addr, 16);
    return port_is_same(&found, key);
}

int port_add(const struct kw_forward_port *key, int listener, const struct kw_forward_end *ends,
             uint32_t count) {
    struct published *port = find(key);
    if (port)
        return 0;
    if (!is_listener(key, listener))
        return -EINVAL;
    for (port = ports; port->used; port++)
        if (port == &ports[KW_FORWARD_PORTS_MAX - 1])
            return -ENOSPC;
    *port = (struct published){.used = true, .serial = ++last_serial, .key = *key, .held = -1};
    port->listener.ready = key->transport == KW_FORWARD_TCP ? calls_arrived : datagrams_arrived;
    int copy = fcntl(listener, F_DUPFD_CLOEXEC, 0);
    int error = copy < 0 || fcntl(copy, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
    if (copy >= 0 && error)
        close(copy);
    if (!error)
        error = watch_begin(&port->listener, copy, EPOLLIN);
    port->used = !error;
    return error ? error : port_lead(key, ends, count);
}

int port_lead(const struct kw_forward_port *key, const struct kw_forward_end *ends,
              uint32_t count) {
    struct published *port = find(key);
    if (!port)
        return -ENOENT;
    memcpy(port->ends, ends, count * sizeof(*ends));
    port->count = count;
    port->held_call.tried = 0;
    ports_try_held();
    return 0;
}

static void end(struct published *port) {
    watch_end(&port->listener);
    if (port->held >= 0)
        reset(port->held);
    port->used = false;
    if (port->key.transport == KW_FORWARD_UDP)
        targets_end_sessions(port->serial);
}

void port_remove(const struct kw_forward_port *key) {
    struct published *port = find(key);
    if (port)
        end(port);
}

void ports_remove_all(void) {
    for (uint32_t i = 0; i < KW_FORWARD_PORTS_MAX; i++)
        if (ports[i].used)
            end(&ports[i]);
}
