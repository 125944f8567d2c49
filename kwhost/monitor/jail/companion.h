/* The process outside of the jail that drives the instance's network (KW_LAUNCH_NETWORK). It is
 * started by whoever hears that the instance waits for it, and ends with the instance. */
#ifndef KW_JAIL_COMPANION_H
#define KW_JAIL_COMPANION_H

#include "abi/kw_abi.h"
#include "base/types.h"
#include "jail/channel.h"

struct connection;
struct supervisor;

struct companion {
    int fds[NETWORK_FDS]; /* namespaces that it is for; -1: no network is wanted */
    int pidfd;            /* -1: there is none */
    int lifeline;         /* the kernel ends it when the last copy is closed */
    bool ready;           /* the program was let go */
};

/* The child waits for one; takes the namespaces over. */
void companion_want(struct supervisor *supervisor, const int fds[NETWORK_FDS]);

/* Tells a new connection that one is missing, if so. */
void companion_tell_again(struct supervisor *supervisor, struct connection *connection);

/* Obeys KW_CONTROL_NETWORK. Descriptors that are kept are set to -1. */
void companion_obey(struct supervisor *supervisor, const struct kw_message *message, int *fds,
                    u32 count);

/* It ended by itself. */
void companion_ended(struct supervisor *supervisor);

/* Ends it. */
void companion_end(struct companion *companion);

#endif
