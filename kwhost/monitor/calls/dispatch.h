/* Making translated calls on the host: what call_forward does, for handlers with an extra step. */
#ifndef KW_CALLS_DISPATCH_H
#define KW_CALLS_DISPATCH_H

#include "calls/call.h"

/* Makes the call, interruptibly when the entry says so, and maps EINTR. */
long make_host_call(struct call *call, const struct call_entry *entry,
                    const struct host_args *args);

/* Maps -EINTR by `restart`. An interruption that was only the monitor's kick is always made again.
 */
long interrupted(struct thread *thread, enum call_restart restart, long result);

#endif
