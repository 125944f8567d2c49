/* Sessions of UDP through a relay: each client has a socket in the namespace, and is answered from
 * the socket that it sent to. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clients.h"
#include "events.h"
#include "relay.h"
#include "spawn.h"

#define IDLE_MS 60000
#define CHECK_MS 5000
#define DATAGRAMS_A_TURN 64
#define REFUSALS_MAX 5 /* one for each address, and one that was left from before */

struct session {
    struct watch server; /* a connected socket; -1: no session */
    int answers_from;
    struct datagram head;
    unsigned turn; /* of the address that it uses */
    bool answered;
};

static struct watch channel;
static struct clients clients;
static struct session *sessions;
static char body[DATAGRAM_MAX];
static uint64_t checked_ms;

static void datagrams_arrived(struct watch *watch, uint32_t events);
static void answers_arrived(struct watch *watch, uint32_t events);

int relay_datagrams_open(uint32_t at_most) {
    clients.count = at_most / CLIENTS_WAYS * CLIENTS_WAYS;
    if (!clients.count)
        return -EMFILE;
    clients.places = calloc(clients.count, sizeof(*clients.places));
    sessions = calloc(clients.count, sizeof(*sessions));
    if (!clients.places || !sessions)
        return -ENOMEM;
    for (uint32_t i = 0; i < clients.count; i++)
        sessions[i].server.fd = -1;
    if (getrandom(&clients.seed, sizeof(clients.seed), 0) < 0)
        return -errno;
    channel.ready = datagrams_arrived;
    return watch_begin(&channel, RELAY_DATAGRAMS, EPOLLIN);
}

static void end(struct session *session) {
    if (session->server.fd < 0)
        return;
    watch_end(&session->server);
    close(session->answers_from);
    COUNT(open_sessions, -1u);
}

static void end_place(uint32_t place) {
    end(&sessions[place]);
    clients.places[place].used = false;
}

void relay_datagrams_idle(void) {
    uint64_t now = now_ms();
    if (now - checked_ms < CHECK_MS)
        return;
    checked_ms = now;
    for (uint32_t i = 0; i < clients.count; i++)
        if (clients.places[i].used && now - clients.places[i].heard_ms > IDLE_MS)
            end_place(i);
}

/* A socket to the session's next address; false behind the last one. */
static bool connect_next(struct session *session) {
    union address address;
    socklen_t size;
    watch_end(&session->server);
    while ((size = relay_address(session->turn++, session->head.family, session->head.number,
                                 &address))) {
        int kind = SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
        int fd = socket(address.any.sa_family, kind, 0);
        if (fd < 0)
            continue;
        if (connect(fd, &address.any, size) == 0)
            return watch_begin(&session->server, fd, EPOLLIN) == 0;
        close(fd);
    }
    return false;
}

/* A refusal inside a namespace comes back before the call returns. */
static bool is_refused(int fd) {
    int error = 0;
    socklen_t size = sizeof(error);
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == ECONNREFUSED;
}

/* Whether the datagram in `body` went out. Until the first answer it is tried at each address. */
static bool pass_on(struct session *session, size_t size) {
    for (int i = 0; i < REFUSALS_MAX; i++) {
        ssize_t sent = send(session->server.fd, body, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != ECONNREFUSED)
            return false;
        if (sent >= 0 && (session->answered || !is_refused(session->server.fd)))
            return true;
        if (!session->answered && !connect_next(session))
            return false;
    }
    return false;
}

static struct session *find(const struct datagram *head, uint32_t *place) {
    bool fresh;
    *place = clients_place(&clients, head->serial, &head->client, now_ms(), &fresh);
    struct session *session = &sessions[*place];
    if (fresh || session->head.number != head->number)
        end(session);
    return session;
}

static bool begin(struct session *session, const struct datagram *head, struct packet *packet) {
    *session = (struct session){
        .server = {-1, 0, answers_arrived}, .answers_from = packet->fds[0], .head = *head};
    if (!connect_next(session))
        return false;
    packet->fd_count = 0; /* it is the session's */
    COUNT(sessions, 1);
    COUNT(open_sessions, 1);
    return true;
}

static void take(const struct datagram *head, struct packet *packet, size_t size) {
    uint32_t place;
    struct session *session = find(head, &place);
    if (session->server.fd < 0 && !begin(session, head, packet)) {
        clients.places[place].used = false;
        COUNT(dropped, 1);
        return;
    }
    if (pass_on(session, size)) {
        COUNT(datagrams_in, 1);
        COUNT(bytes_in, size);
        return;
    }
    COUNT(dropped, 1);
    if (session->server.fd >= 0)
        return;
    close(session->answers_from); /* nobody listens: the next one begins anew */
    COUNT(open_sessions, -1u);
    clients.places[place].used = false;
}

static void end_sessions(uint32_t serial) {
    for (uint32_t i = 0; i < clients.count; i++)
        if (clients.places[i].used && (!serial || clients.places[i].serial == serial))
            end_place(i);
}

static void datagrams_arrived(struct watch *watch, uint32_t events) {
    (void)events;
    for (int i = 0; i < DATAGRAMS_A_TURN; i++) {
        struct datagram head;
        struct packet packet = {
            .head = &head, .head_size = sizeof(head), .body = body, .body_size = sizeof(body)};
        ssize_t size = packet_receive(watch->fd, &packet);
        if (size == -EAGAIN)
            return;
        if (size < (ssize_t)sizeof(head)) { /* the other channel tells that the server ended */
            watch_change(watch, EPOLLET);
            return;
        }
        if (head.kind == DATAGRAMS_END)
            end_sessions(head.serial);
        else if (head.kind == DATAGRAM && packet.fd_count == 1)
            take(&head, &packet, (size_t)size - sizeof(head));
        packet_close(&packet);
    }
}

static void answers_arrived(struct watch *watch, uint32_t events) {
    struct session *session = (struct session *)((char *)watch - offsetof(struct session, server));
    const union address *client = &session->head.client;
    socklen_t length = session->head.family == 4 ? sizeof(client->v4) : sizeof(client->v6);
    (void)events;
    for (int i = 0; i < DATAGRAMS_A_TURN; i++) {
        ssize_t size = recv(watch->fd, body, sizeof(body), MSG_DONTWAIT);
        if (size < 0 && errno == ECONNREFUSED)
            continue; /* an earlier datagram's; the next one decides */
        if (size < 0)
            return;
        session->answered = true;
        clients.places[session - sessions].heard_ms = now_ms();
        if (sendto(session->answers_from, body, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL,
                   &client->any, length) < 0) {
            COUNT(dropped, 1);
        } else {
            COUNT(datagrams_out, 1);
            COUNT(bytes_out, (uint64_t)size);
        }
    }
}
