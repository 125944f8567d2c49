/* Signals for the first process of an instance whose programs have no monitor: the kernel spares it
 * from their default actions, which would leave `stop` without effect on most programs. */
#ifndef KW_JAIL_DEFAULT_ACTION_H
#define KW_JAIL_DEFAULT_ACTION_H

#include "base/types.h"

struct supervisor;

/* Whether the program neither handles, ignores nor blocks a signal that ends programs otherwise, at
 * this moment. False for instances with monitors, or with a reaper or keeper, which see to it
 * themselves. */
bool default_action_ends(const struct supervisor *supervisor, u32 signal);

#endif
