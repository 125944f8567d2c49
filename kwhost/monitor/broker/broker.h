/* Who answers what the seccomp filters of an instance's programs ask, where these have no monitors:
 * a child of supervise's inside the instance's namespaces, its pid namespace apart, so that nobody
 * in there sees or reaches it. Seen from supervise. */
#ifndef KW_BROKER_BROKER_H
#define KW_BROKER_BROKER_H

#include "base/types.h"

struct supervisor;

struct broker {
    int pid, pidfd, channel; /* -1: there is none */
};

/* Makes it, when the instance's first process is there; before supervise gives up the calls that
 * this takes. */
bool broker_start(struct supervisor *supervisor);

/* The instance's namespaces, NAMESPACE_FDS of them, which go to the broker. */
void broker_join(const struct broker *broker, const int *namespaces);

/* The instance's root directory, now that it is there; it stays the caller's. */
void broker_enter(const struct broker *broker, int root);

/* The listener of one more program's filter, which goes to the broker. */
void broker_listen(const struct broker *broker, int listener);

/* It was killed: the instance goes with it. */
void broker_ended(struct supervisor *supervisor);

/* Ends it, and waits until it is gone. */
void broker_end(struct broker *broker);

#endif
