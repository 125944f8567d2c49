/* The connections over which supervise is asked and tells. A client is never waited for: one that
 * does not read is cut off. */
#ifndef KW_JAIL_CONTROL_H
#define KW_JAIL_CONTROL_H

#include "abi/kw_abi.h"
#include "base/types.h"

struct supervisor;

struct connection {
    int fd;           /* -1: this one is free */
    bool greeted;     /* it said KW_CONTROL_HELLO, or is the foreground's */
    bool watches_log; /* it asked for KW_EVENT_LOGGED */
    u64 logged;       /* log_file.written when it was told last */
};

/* Makes all connections free. */
void control_prepare(struct supervisor *supervisor);

/* Takes a connected socket over; closes it when there are too many. */
void control_add(struct supervisor *supervisor, int fd);

/* Takes the new connections from the listening socket, or turns them away. */
void control_accept(struct supervisor *supervisor);

/* Obeys one message, if it is one. */
void control_receive(struct supervisor *supervisor, struct connection *connection);

/* Obeys one message of each connection that sent some already. */
void control_hear(struct supervisor *supervisor);

/* Sends an event to one connection, or to all. Returns false when nobody got it. */
bool control_send(struct supervisor *supervisor, struct connection *connection,
                  struct kw_message *event, const int *fds, u32 count);
bool control_tell(struct supervisor *supervisor, struct kw_message *event);

/* As control_tell, for an event that the program causes as often as it likes: leaves out who has
 * much to read already, and says in *missed that it has. */
bool control_tell_often(struct supervisor *supervisor, struct kw_message *event, bool *missed);

/* Tells those who wait for it what was logged meanwhile. */
void control_tell_logged(struct supervisor *supervisor);

#endif
