/* One direction of standard input or output between the command's descriptors and the instance's,
 * moved without ever waiting. */
#ifndef KW_JAIL_RELAY_H
#define KW_JAIL_RELAY_H

#include <asm/poll.h>
#include <linux/poll.h>

#include "base/types.h"

#define RELAY_SIZE (64u << 10)

struct relay {
    int from, to; /* `from` is -1 when there is nothing more to read */
    int own;      /* the instance's end (either of the two), closed at the end; -1: the caller's */
    bool ended;
    bool full;            /* `to` takes nothing at the moment */
    bool splices;         /* the kernel moves the bytes by itself */
    bool socket;          /* `to` is a socket */
    bool end_of_file_key; /* `to` is a terminal's master: an end of input is typed into it */
    long lost; /* negative errno of the write that ended it with data unwritten; 0: none did */
    u32 start, held;
    u8 *data; /* RELAY_SIZE bytes of the caller's */
};

/* From the command's descriptor `from` to the instance's `to`, or the other way round. The
 * instance's end must not block; the command's descriptor is shared with others and left as it is.
 */
void relay_to_instance(struct relay *relay, int from, int to, bool is_terminal, u8 *data);
void relay_from_instance(struct relay *relay, int from, int to, bool is_terminal, u8 *data);

/* A new open file of what `fd` is open to, which does not block; or `fd` itself. */
int relay_reopen(int fd, u32 flags);

/* What to wait for; fd -1 when it has ended. */
struct pollfd relay_wants(const struct relay *relay);

/* Moves what can be moved now. */
void relay_move(struct relay *relay);

/* True when nothing is left to move and nobody can write any more, or only a stranger to the
 * instance. */
bool relay_is_drained(struct relay *relay);

#endif
