/* Packets with descriptors, and what the server and a relay tell each other in them. */
#ifndef FORWARD_PACKETS_H
#define FORWARD_PACKETS_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PACKET_FDS_MAX 2
#define DATAGRAM_MAX 65536

/* Who called: an IPv4 or IPv6 socket address, the rest zeros. */
union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* Between the server and a relay, on the channel for calls: the server sends accepted sockets, the
 * relay says once that it is ready, or why not, and gives back calls that nobody takes. */
enum call_kind { CALL_READY = 1, CALL_CONNECT = 2, CALL_REFUSED = 3 };

struct call {
    uint32_t kind;
    int32_t error;     /* CALL_READY: 0 or a negative errno */
    uint32_t port;     /* place of the published port */
    uint32_t serial;   /* of the published port: places are used again */
    uint64_t tried;    /* bits of the ends that did not take it */
    uint32_t position; /* of the end that it is at now */
    uint16_t number;   /* port to connect to */
    uint16_t family;   /* 4 or 6: how the client came */
};

/* From the server to a relay, on the channel for datagrams, each in front of a datagram and with
 * the socket that answers are sent from. DATAGRAMS_END has neither: the sessions of a published
 * port end, or with serial 0 all. Order matters: a socket that is still on its way must not come
 * after it. */
enum datagram_kind { DATAGRAM = 1, DATAGRAMS_END = 2 };

struct datagram {
    uint32_t kind;
    uint32_t serial;
    uint16_t number;
    uint16_t family;
    union address client;
};

struct packet {
    void *head;
    size_t head_size;
    void *body;
    size_t body_size;
    int fds[PACKET_FDS_MAX]; /* received: the receiver's */
    unsigned fd_count;
};

/* Send without waiting. The descriptors stay the caller's. Returns 0 or a negative errno. */
int packet_send(int channel, const struct packet *packet);
/* Receive without waiting, to head and body. Returns the size, 0 at the end, or a negative errno:
 * -EMSGSIZE for one that did not fit or had more descriptors. With an error nothing is left open.
 */
ssize_t packet_receive(int channel, struct packet *packet);
void packet_close(struct packet *packet);

#endif
