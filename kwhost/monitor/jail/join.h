/* The way of a further process into a running instance (exec).
 *
 * A helper, which is a child of supervise, joins the instance's cgroups and all its namespaces
 * while it is alone in its process, and becomes the instance's root. Its own child is the first to
 * have an id in the instance; supervise is that one's parent too, and its host root's rights were
 * gone before it was born. Neither can be looked into, from the beginning: supervise is not
 * dumpable.
 */
#ifndef KW_JAIL_JOIN_H
#define KW_JAIL_JOIN_H

#include "jail/ceiling.h"
#include "jail/channel.h"
#include "jail/record.h"

struct join {
    const struct launch *launch;   /* of the process */
    const struct launch *instance; /* of the instance it joins */
    int first;                     /* pidfd of the instance's first process */
    int channel;                   /* to supervise: its end says that the program runs */
    int self;                      /* the sealed executable */
    int kvm, stats;
    int policy, bell;                    /* -1: the instance has no policy */
    const struct program_filter *filter; /* of programs without monitors */
    const struct kw_ceiling *ceiling;    /* of the instance; NULL: nothing is narrowed */
    int shared[JOIN_FDS];
    int stdio[3]; /* -1: it gets a terminal */
    u32 flags;    /* for its exec record */
    int *pid;     /* shared with supervise: the kernel puts the child's id there */
};

/* Runs in the helper, which leaves its child and ends. The child waits for a packet, so that nobody
 * runs whom supervise does not know, and becomes the program's first monitor. */
_Noreturn void join_enter(const struct join *join);

#endif
