#include "control.h"

#include <errno.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "events.h"
#include "packets.h"
#include "ports.h"
#include "request.h"
#include "targets.h"

#define CONNECTIONS_MAX 8

/* One request at a time: while `waits_for` starts, or no relay is lost, the next one is not read.
 */
struct connection {
    struct watch watch;
    struct target *waits_for;
    bool waits_for_loss;
};

static struct watch listener;
static struct connection connections[CONNECTIONS_MAX];
static void (*stop_all)(void);

static void disconnect(struct connection *connection) {
    watch_end(&connection->watch);
    if (connection->waits_for)
        connection->waits_for->started = NULL;
    connection->waits_for = NULL;
    connection->waits_for_loss = false;
}

/* With a descriptor, or -1. Who does not read its answers is disconnected. */
static void answer_with(struct connection *connection, struct kw_forward_message *message,
                        int error, int fd) {
    struct packet packet = {
        .head = message, .head_size = sizeof(*message), .fds = {fd}, .fd_count = fd >= 0};
    message->magic = KW_FORWARD_MAGIC;
    message->version = KW_FORWARD_VERSION;
    message->error = -error;
    if (packet_send(connection->watch.fd, &packet) < 0)
        disconnect(connection);
}

static void answer(struct connection *connection, struct kw_forward_message *message, int error) {
    answer_with(connection, message, error, -1);
}

static void relay_lost(void) {
    struct kw_forward_message message = {.type = KW_FORWARD_WATCH};
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
        struct connection *connection = &connections[i];
        if (connection->watch.fd < 0 || !connection->waits_for_loss)
            continue;
        connection->waits_for_loss = false;
        watch_change(&connection->watch, EPOLLIN);
        answer(connection, &message, 0);
    }
}

/* Returns 1 when the answer follows later. */
static int watch_relays(struct connection *connection) {
    if (targets_have_lost())
        return 0;
    connection->waits_for_loss = true;
    watch_change(&connection->watch, 0);
    return 1;
}

static void relay_started(struct target *target, int error) {
    struct kw_forward_message message = {.type = KW_FORWARD_NAMESPACE};
    if (error)
        target_remove(target);
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
        struct connection *connection = &connections[i];
        if (connection->watch.fd < 0 || connection->waits_for != target)
            continue;
        connection->waits_for = NULL;
        watch_change(&connection->watch, EPOLLIN);
        answer(connection, &message, error);
    }
}

/* Returns 1 when the answer follows later. */
static int put_target(struct connection *connection, const struct kw_forward_message *message,
                      const struct packet *packet) {
    if (ioctl(packet->fds[0], NS_GET_NSTYPE) != CLONE_NEWNET)
        return -EINVAL;
    int process = packet->fd_count > 1 ? packet->fds[1] : -1;
    int result = target_put(&message->target, packet->fds[0], process, relay_started,
                            &connection->waits_for);
    if (result == 1)
        watch_change(&connection->watch, 0);
    return result;
}

/* Answers itself where there is one. */
static int list_port(struct connection *connection, struct kw_forward_message *message) {
    const struct published *port = port_at(&message->index);
    if (!port)
        return -ENOENT;
    message->port = port->key;
    message->count = port->count;
    memcpy(message->ends, port->ends, sizeof(message->ends));
    message->index++;
    answer_with(connection, message, 0, port->listener.fd);
    return 1;
}

static int list_target(struct kw_forward_message *message) {
    const struct target *target = target_at(&message->index);
    if (!target)
        return -ENOENT;
    message->target = target->record;
    message->target.alive = target_is_alive(target);
    target_counts(target, &message->counts);
    message->index++;
    return 0;
}

static int remove_target(const struct kw_forward_message *message) {
    struct target *target = target_find(message->target.name);
    if (target)
        target_remove(target);
    return 0;
}

/* Carry a checked request out: 0, 1 when it is or will be answered otherwise, or a negative errno.
 */
static int carry_out(struct connection *connection, struct kw_forward_message *message,
                     const struct packet *packet) {
    switch (message->type) {
    case KW_FORWARD_HELLO:
        message->count = (uint32_t)targets_open_connections();
        return 0;
    case KW_FORWARD_STOP:
        stop_all();
        return 0;
    case KW_FORWARD_ADD:
        return port_add(&message->port, packet->fds[0], message->ends, message->count);
    case KW_FORWARD_TARGETS:
        return port_lead(&message->port, message->ends, message->count);
    case KW_FORWARD_REMOVE_PORT:
        port_remove(&message->port);
        return 0;
    case KW_FORWARD_NAMESPACE:
        return put_target(connection, message, packet);
    case KW_FORWARD_REMOVE_TARGET:
        return remove_target(message);
    case KW_FORWARD_LIST:
        return list_port(connection, message);
    case KW_FORWARD_COUNTS:
        return list_target(message);
    case KW_FORWARD_WATCH:
        return watch_relays(connection);
    default:
        return -EINVAL;
    }
}

static void request_arrived(struct watch *watch, uint32_t events) {
    struct connection *connection = (struct connection *)watch;
    static struct kw_forward_message message;
    struct packet packet = {.head = &message, .head_size = sizeof(message)};
    memset(&message, 0, sizeof(message));
    if (connection->waits_for || connection->waits_for_loss) { /* watched for its end only */
        if (events & (EPOLLHUP | EPOLLERR))
            disconnect(connection);
        return;
    }
    ssize_t size = packet_receive(watch->fd, &packet);
    if (size == -EAGAIN)
        return;
    int result = size == -EMSGSIZE ? -EINVAL : size <= 0 ? -EPROTO : 0;
    if (!result)
        result = request_check(&message, (size_t)size, packet.fd_count);
    if (!result)
        result = carry_out(connection, &message, &packet);
    packet_close(&packet);
    if (result == -EPROTO)
        disconnect(connection);
    else if (result <= 0)
        answer(connection, &message, result);
}

static bool may_connect(int fd) {
    struct ucred peer;
    socklen_t size = sizeof(peer);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           (peer.uid == 0 || peer.uid == geteuid());
}

static void connection_arrived(struct watch *watch, uint32_t events) {
    (void)events;
    int fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    for (unsigned i = 0; i < CONNECTIONS_MAX && may_connect(fd); i++)
        if (connections[i].watch.fd < 0) {
            watch_begin(&connections[i].watch, fd, EPOLLIN);
            return;
        }
    close(fd);
}

int control_open(int fd, void (*stop)(void)) {
    _Static_assert(offsetof(struct connection, watch) == 0, "a watch is its connection");
    stop_all = stop;
    targets_open(relay_lost);
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
        connections[i].watch = (struct watch){-1, 0, request_arrived};
    listener.ready = connection_arrived;
    return watch_begin(&listener, fd, EPOLLIN);
}
