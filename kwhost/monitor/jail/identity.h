/* Who the child is and what it may use: ids, capabilities, limits. */
#ifndef KW_JAIL_IDENTITY_H
#define KW_JAIL_IDENTITY_H

#include <linux/capability.h>

#include "jail/record.h"

struct limits {
    u64 values[16][2]; /* soft and hard, as the guest sees them */
    u32 own_base;      /* the monitor's own descriptors are numbers from here */
};

/* What root of an instance can do, to things of the instance alone. */
#define KEPT_CAPABILITIES                                                                          \
    (1u << CAP_CHOWN | 1u << CAP_DAC_OVERRIDE | 1u << CAP_FOWNER | 1u << CAP_FSETID |              \
     1u << CAP_KILL | 1u << CAP_SETGID | 1u << CAP_SETUID | 1u << CAP_SETPCAP |                    \
     1u << CAP_NET_BIND_SERVICE | 1u << CAP_SYS_CHROOT)

/* Becomes root of the user namespace, which the maps have just made possible. */
bool identity_become_root(bool may_set_groups, struct failure *failure);

/* Lowers the limits. The soft limit on descriptors stays high, for placing the monitor's own, until
 * identity_finish_limits. */
bool identity_limit(const struct launch *launch, struct limits *limits, struct failure *failure);
bool identity_finish_limits(const struct limits *limits, struct failure *failure);

/* Likewise for a program without a monitor, whose limits on memory stay what they are; own_base is
 * the first number of a descriptor that it cannot have. */
bool identity_limit_program(const struct launch *launch, struct limits *limits,
                            struct failure *failure);
bool identity_finish_program(const struct limits *limits, struct failure *failure);

/* How many processes and threads each user of the instance may have, about; 0: no limit. */
bool identity_limit_tasks(u32 most, struct failure *failure);

/* Becomes the program's user for good, with the capabilities that user has. */
bool identity_drop(const struct launch *launch, bool may_set_groups, struct failure *failure);

#endif
