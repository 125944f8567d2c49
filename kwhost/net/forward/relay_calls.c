/* Connections of TCP through a relay. */
#include <errno.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "events.h"
#include "relay.h"
#include "relay_flow.h"
#include "spawn.h"

#define CONNECT_MS 5000 /* for an answer of one address */
#define ABSENT_SECONDS                                                                             \
    60 /* between questions to a client that has ended its side whether it is there */

struct connection {
    struct watch client; /* watched once the server has answered */
    struct watch server;
    struct flow in, out; /* to and from the server */
    struct call call;
    unsigned turn; /* of the address that is tried */
    bool connected;
    uint64_t overdue_ms;
    struct connection *next, *previous; /* among those that wait for an answer, or are free */
};

static struct connection *table;
/* Those that wait, the first one the longest: all wait for the same time. Free and ended ones are
 * only linked by `next`. */
static struct connection waiting = {.next = &waiting, .previous = &waiting};
static struct connection *free_ones, *ended_ones;

static void client_ready(struct watch *watch, uint32_t events);
static void server_ready(struct watch *watch, uint32_t events);

int relay_calls_open(uint32_t at_most) {
    table = calloc(at_most, sizeof(*table));
    if (!table)
        return -ENOMEM;
    for (uint32_t i = 0; i < at_most; i++) {
        table[i].client.fd = table[i].server.fd = -1;
        table[i].next = free_ones;
        free_ones = &table[i];
    }
    return 0;
}

void relay_calls_reclaim(void) {
    while (ended_ones) {
        struct connection *connection = ended_ones;
        ended_ones = connection->next;
        connection->next = free_ones;
        free_ones = connection;
    }
}

static void stop_waiting(struct connection *connection) {
    if (!connection->previous)
        return;
    connection->previous->next = connection->next;
    connection->next->previous = connection->previous;
    connection->next = connection->previous = NULL;
}

static void start_waiting(struct connection *connection) {
    connection->overdue_ms = now_ms() + CONNECT_MS;
    connection->previous = waiting.previous;
    connection->next = &waiting;
    waiting.previous->next = connection;
    waiting.previous = connection;
}

static void reset(struct watch *watch) {
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(watch->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    watch_end(watch);
}

/* `broken`: each side sees that the other one failed, not that it has said all. */
static void end(struct connection *connection, bool broken) {
    stop_waiting(connection);
    flow_end(&connection->in);
    flow_end(&connection->out);
    if (broken) {
        reset(&connection->client);
        reset(&connection->server);
    } else {
        watch_end(&connection->client);
        watch_end(&connection->server);
    }
    if (connection->connected)
        COUNT(open_connections, -1u);
    connection->next = ended_ones;
    ended_ones = connection;
}

/* The server looks for another target. If it is not there to hear it, the client is reset. */
static void refuse(const struct call *call, struct watch *client) {
    struct call refused = *call;
    refused.kind = CALL_REFUSED;
    struct packet packet = {
        .head = &refused, .head_size = sizeof(refused), .fds = {client->fd}, .fd_count = 1};
    COUNT(failures, 1);
    if (packet_send(RELAY_CALLS, &packet) < 0)
        reset(client);
    else
        watch_end(client);
}

/* Small answers are not held back to be joined with later ones: whoever sends decides that. */
static void send_at_once(int fd) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/* Call the next address that does not refuse at once. */
static int try_next(struct connection *connection) {
    union address address;
    socklen_t size;
    while ((size = relay_address(connection->turn++, connection->call.family,
                                 connection->call.number, &address))) {
        int kind = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
        int fd = socket(address.any.sa_family, kind, 0);
        if (fd < 0)
            continue; /* no IPv6 here */
        send_at_once(fd);
        if (connect(fd, &address.any, size) < 0 && errno != EINPROGRESS) {
            close(fd);
            continue;
        }
        int error = watch_begin(&connection->server, fd, EPOLLOUT);
        if (!error)
            start_waiting(connection);
        return error;
    }
    return -ECONNREFUSED;
}

static void give_up(struct connection *connection) {
    refuse(&connection->call, &connection->client);
    end(connection, false);
}

static void try_next_or_give_up(struct connection *connection) {
    stop_waiting(connection);
    watch_end(&connection->server);
    if (try_next(connection) < 0)
        give_up(connection);
}

void relay_call(const struct call *call, int client) {
    struct connection *connection = free_ones;
    if (!connection) {
        struct watch only = {client, 0, NULL};
        refuse(call, &only);
        return;
    }
    free_ones = connection->next;
    *connection = (struct connection){.client = {client, 0, client_ready},
                                      .server = {-1, 0, server_ready},
                                      .in = NO_FLOW,
                                      .out = NO_FLOW,
                                      .call = *call};
    connection->in.count = &relay_counts->bytes_in;
    connection->out.count = &relay_counts->bytes_out;
    try_next_or_give_up(connection);
}

/* What an end must be watched for: to read more for its flow, to take what the other's flow holds.
 * An end that waits for nothing is told of errors alone, each once: its other events would never
 * cease. */
static uint32_t wants(const struct flow *from, const struct flow *to) {
    uint32_t events = (!from->held && !from->ended ? EPOLLIN : 0) | (to->held ? EPOLLOUT : 0);
    return events ? events : (uint32_t)EPOLLET;
}

/* A client that went away after it had said all would otherwise never be missed. */
static void ask_whether_there(int client) {
    int on = 1, seconds = ABSENT_SECONDS;
    setsockopt(client, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(client, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof(seconds));
    setsockopt(client, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof(seconds));
}

static bool has_failed(int fd) {
    int error = 0;
    socklen_t size = sizeof(error);
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 || error;
}

/* What events of the end that a flow comes from, and of the one that it goes to, say of it. */
#define FROM_EVENTS ((uint32_t)(EPOLLIN | EPOLLHUP | EPOLLERR))
#define TO_EVENTS ((uint32_t)(EPOLLOUT | EPOLLHUP | EPOLLERR))

static void move(struct connection *connection, uint32_t client_events, uint32_t server_events) {
    struct flow *in = &connection->in, *out = &connection->out;
    int client = connection->client.fd, server = connection->server.fd, error = 0;
    bool said_all = in->ended;
    if (client_events & FROM_EVENTS || server_events & TO_EVENTS)
        error = flow_move(in, client, server);
    if (!error && (server_events & FROM_EVENTS || client_events & TO_EVENTS))
        error = flow_move(out, server, client);
    if (error || (in->shut && out->shut)) {
        end(connection, error != 0);
        return;
    }
    if (in->ended && !said_all)
        ask_whether_there(client);
    watch_change(&connection->client, wants(in, out));
    watch_change(&connection->server, wants(out, in));
}

static void client_ready(struct watch *watch, uint32_t events) {
    struct connection *connection =
        (struct connection *)((char *)watch - offsetof(struct connection, client));
    /* It is gone, and the server takes nothing: reading more would tell, but there is no room for
     * it. */
    if ((events & EPOLLERR) && connection->in.held && has_failed(watch->fd))
        end(connection, true);
    else
        move(connection, events, 0);
}

/* The server has answered: with that the call is a connection. */
static void become_connected(struct connection *connection) {
    int client = connection->client.fd;
    stop_waiting(connection);
    send_at_once(client);
    if (watch_begin(&connection->client, client, EPOLLIN) < 0) {
        end(connection, true);
        return;
    }
    connection->connected = true;
    COUNT(connections, 1);
    COUNT(open_connections, 1);
    move(connection, EPOLLIN, 0); /* most have said something */
}

static void server_ready(struct watch *watch, uint32_t events) {
    struct connection *connection =
        (struct connection *)((char *)watch - offsetof(struct connection, server));
    if (connection->connected) /* after a failure what came before is still passed on */
        move(connection, 0, events);
    else if ((events & (EPOLLERR | EPOLLHUP)) && has_failed(watch->fd))
        try_next_or_give_up(connection);
    else
        become_connected(connection);
}

int relay_calls_overdue(void) {
    while (waiting.next != &waiting) {
        uint64_t now = now_ms();
        if (waiting.next->overdue_ms > now)
            return (int)(waiting.next->overdue_ms - now);
        give_up(waiting.next); /* it hangs: its other addresses would, too */
    }
    return -1;
}
