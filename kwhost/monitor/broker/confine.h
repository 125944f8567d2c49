/* What the broker gives up inside the instance. */
#ifndef KW_BROKER_CONFINE_H
#define KW_BROKER_CONFINE_H

#include "base/types.h"

/* For good, and for all workers: nobody looks into it, it has no capability but the instance's
 * root's and the one to look at callers (`bare`, without namespaces: the one to kill them), and its
 * seccomp filter. Returns 0 or a negative errno. */
long confine(bool bare);

#endif
