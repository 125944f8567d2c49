/* Packets with descriptors over a Unix socket: between supervise and the child on its way into the
 * jail, and on the control socket. */
#ifndef KW_JAIL_CHANNEL_H
#define KW_JAIL_CHANNEL_H

#include "base/types.h"
#include "jail/errors.h"
#include "jail/sources.h"

/* From supervise: the maps are written, here are the sources. */
struct channel_start {
    u32 count; /* of sources */
    bool overlays_made;
    u8 present[SOURCE_LIMIT]; /* which of them have a descriptor attached, in order */
};

/* From supervise: the network is ready. */
struct channel_network {
    u32 ready;
};

/* From the child. When the child's end closes without a failure the program is running. */
enum channel_type {
    CHANNEL_FAILED = 1,
    CHANNEL_TERMINAL,   /* with two descriptors: master and slave */
    CHANNEL_JOIN,       /* hosted: with the descriptors of enum join_fd */
    CHANNEL_NETWORK,    /* with the descriptors of enum network_fd: the child goes on after a
                           struct channel_network */
    CHANNEL_NAMESPACES, /* with NAMESPACE_FDS descriptors, the user namespace first: a broker's */
    CHANNEL_LISTENER,   /* with a descriptor: of the seccomp filter that the program has */
};
/* What a later process of the instance gets from supervise, beside /dev/kvm and the statistics. */
enum join_fd {
    JOIN_TABLE,    /* the process table; with KW_LAUNCH_PROCESS there is none */
    JOIN_PROC,     /* the detached procfs */
    JOIN_STANDINS, /* where procfs makes what it hands out; likewise */
    JOIN_ROOT,     /* the root directory */
    JOIN_DEVPTS,   /* left out when there is none */
    JOIN_FDS
};
/* Namespaces, for whoever drives the instance's network. */
enum network_fd { NETWORK_USER, NETWORK_NET, NETWORK_FDS };
#define NAMESPACE_FDS 6
struct channel_report {
    u32 type;
    u32 value;  /* CHANNEL_JOIN: flags for the exec records of later processes; CHANNEL_LISTENER:
                   whether  Landlock holds the rules on files */
    u32 shared; /* CHANNEL_JOIN: a bit for each of enum join_fd that comes along */
    struct failure failure;
};

/* Two connected packet sockets, closed on exec. Returns 0 or a negative errno. */
long channel_pair(int ends[2]);

/* Sends one packet with `count` descriptors; waits while the other side is full. */
long channel_send(int socket, const void *data, size_t size, const int *fds, u32 count);

/* Likewise, but -EAGAIN when the other side is full. */
long channel_send_now(int socket, const void *data, size_t size, const int *fds, u32 count);

/* Receives one packet, waiting for it: its size, 0 at the end, or a negative errno (-EBADMSG: cut
 * off). The caller owns the *count descriptors (closed on exec) put into fds[limit]. */
long channel_receive(int socket, void *data, size_t size, int *fds, u32 limit, u32 *count);

#endif
