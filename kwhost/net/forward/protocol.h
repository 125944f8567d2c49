/* What the daemon and kwhost-forward say to each other: one packet each on a SOCK_SEQPACKET socket,
 * a request and then its answer, of the same type. C includes the file as it is; what stands
 * between the two cdef markers is also read by cffi (kwhost/core/abi). Fixed-width integers,
 * explicit padding, no pointers. */
#ifndef KW_FORWARD_PROTOCOL_H
#define KW_FORWARD_PROTOCOL_H

#include <stdint.h>

/* cdef: begin */
#define KW_FORWARD_MAGIC 0x6b776631
#define KW_FORWARD_VERSION 2
#define KW_FORWARD_NAME_MAX 32
#define KW_FORWARD_PORTS_MAX 1024
#define KW_FORWARD_TARGETS_MAX 1024
#define KW_FORWARD_ENDS_MAX 64 /* targets of one port */

/* HELLO and STOP, and the first 24 bytes of each message, stay as they are in later versions. */
enum kw_forward_type {
    KW_FORWARD_HELLO =
        1,               /* the answer: the version, and in `count` how many connections are open */
    KW_FORWARD_STOP = 2, /* ends the process, and with it all connections */
    KW_FORWARD_ADD = 3,  /* `port`, with its listening socket, leads to the first `count` of `ends`
                           from its first call on; a known one is left alone */
    KW_FORWARD_TARGETS = 4,     /* `port` leads to the first `count` of `ends` from now on */
    KW_FORWARD_REMOVE_PORT = 5, /* `port` listens no more; TCP connections made through it stay */
    KW_FORWARD_NAMESPACE = 6, /* `target`, with its network namespace and perhaps a pidfd whose end
                                 removes it. A known one in another namespace is replaced */
    KW_FORWARD_REMOVE_TARGET = 7, /* `target.name`, and its connections */
    KW_FORWARD_LIST = 8,   /* the answer: the first port at `index` or behind, its `ends`, and the
                              `index` to go on from, with its listening socket; ENOENT: none */
    KW_FORWARD_COUNTS = 9, /* the same of targets, and their `counts`, without a descriptor */
    KW_FORWARD_WATCH = 10  /* answered as soon as a target is there whose relay ended by itself;
                              until then the connection's next request is not read */
};

#define KW_FORWARD_TCP 6
#define KW_FORWARD_UDP 17

struct kw_forward_port {
    uint8_t transport;
    uint8_t family; /* 4 or 6 */
    uint16_t number;
    uint8_t address[16]; /* an IPv4 address is its first four bytes, the others are 0 */
};

struct kw_forward_target {
    char name[KW_FORWARD_NAME_MAX]; /* ends with NUL */
    uint64_t namespace_device;      /* answers: which namespace it is */
    uint64_t namespace_inode;
    uint32_t uid; /* that relays run as; not 0 */
    uint32_t gid;
    uint8_t address4[4]; /* where it is called first; 0: only at loopback addresses */
    uint8_t address6[16];
    uint32_t alive; /* answers: its relay runs */
};

struct kw_forward_counts {
    uint64_t connections; /* made to it, by TCP */
    uint64_t failures;    /* connections that it did not take */
    uint64_t bytes_in;    /* to the instance, by TCP and UDP */
    uint64_t bytes_out;
    uint64_t sessions;     /* clients of UDP */
    uint64_t datagrams_in; /* to the instance */
    uint64_t datagrams_out;
    uint64_t dropped; /* datagrams that could not be passed on */
    uint32_t open_connections;
    uint32_t open_sessions;
};

struct kw_forward_end {
    char target[KW_FORWARD_NAME_MAX]; /* need not be known yet */
    uint32_t port;
};

struct kw_forward_message {
    uint32_t magic;
    uint16_t version;
    uint16_t type;
    int32_t error; /* answers: 0 or an errno */
    uint32_t index;
    uint32_t count;
    uint32_t reserved;
    struct kw_forward_port port;
    uint32_t padding;
    struct kw_forward_target target;
    struct kw_forward_counts counts;
    struct kw_forward_end ends[KW_FORWARD_ENDS_MAX];
};
/* cdef: end */

#define KW_FORWARD_PREFIX 24
_Static_assert(sizeof(struct kw_forward_port) == 20, "no hidden padding");
_Static_assert(sizeof(struct kw_forward_target) == 80, "no hidden padding");
_Static_assert(sizeof(struct kw_forward_counts) == 72, "no hidden padding");
_Static_assert(sizeof(struct kw_forward_message) == 200 + 36 * KW_FORWARD_ENDS_MAX,
               "no hidden padding");

#endif
