/* A call that the broker makes for a program, and what becomes of it: what the parts of the broker
 * that receive and answer calls, and those that make them, know of each other.
 *
 * A worker makes one call at a time. What it looks at of the caller may be another's by the time it
 * has looked: only what was held while broker_is_waited_for said so is the caller's. */
#ifndef KW_BROKER_REQUEST_H
#define KW_BROKER_REQUEST_H

#include "base/host.h"
#include "policy/table.h"

struct broker_request {
    int listener; /* of seccomp(2), in this process */
    u32 tid;      /* of the calling thread, in this process's pid namespace */
    u64 id;       /* of the notification */
    u64 nr;
    u64 arg[6]; /* as in the caller's registers */
};

/* What the caller gets. */
struct broker_result {
    long value;   /* that the call returns, or a negative errno; see broker_perform */
    int fd;       /* >= 0: the caller gets this descriptor, and its number instead of the value */
    u32 fd_flags; /* O_CLOEXEC or 0, for that */
};

/* A worker ends waiting host calls of its own with this: see broker_perform. */
#define BROKER_INTERRUPTED EINTR

/* Results of broker_perform's that are no errno of Linux's. */
#define BROKER_RESTARTS                                                                            \
    512                 /* a signal ended the call; it is made again unless a handler says no      \
                         */
#define BROKER_ASKS 600 /* of broker_permit: hand it on */

/* Whether the call is one that the broker makes in this instance (broker/performed.def), by the
 * kinds of rules that the filters of its programs were made with (PROGRAM_RULES_*). Those are set
 * once, in the broker. */
extern u32 broker_rules;
/* Without namespaces, where it makes no calls but changes of what lies beneath this directory;
 * NULL: there is none. */
extern bool broker_is_bare;
extern const char *broker_scratch;
bool broker_performs(const struct broker_request *request);

/* Once in each worker, before its first call. Returns 0 or a negative errno. */
long broker_prepare(void);

/* Makes the call as its caller would: judged by the policy, on copied arguments. Never waits but in
 * host calls that a signal ends: while the broker finds that the caller is gone or has a signal to
 * handle, it interrupts the worker every 100 ms. Then the result is -BROKER_INTERRUPTED, or
 * -BROKER_RESTARTS where Linux would restart the call (signal(7)); the latter may also mean that
 * broker_perform is called once more.
 *
 * Leaves the worker as broker_prepare did: identity, working directory, root, umask, descriptors;
 * the result's descriptor is the worker's to close. Does not answer the notification. */
void broker_perform(const struct broker_request *request, struct broker_result *result);

/* A worker ends with the broker; but the kernel forgets that whenever the worker's ids change, and
 * this has to be said anew. Ends the worker if the broker is gone. */
void broker_follow(void);

/* /proc of this process's own pid namespace, held by descriptor: "TID/..." is a caller's. */
extern int broker_procfs;

/* Whether the caller still waits for this very call. */
bool broker_is_waited_for(const struct broker_request *request);

/* What a verdict says about the call: 0, it may go on, or the negative errno that it is refused
 * with; -BROKER_ASKS to be handed on as any other error, with nothing done and everything let go
 * of: after a yes broker_perform is called again and judges all anew. What is more than plain
 * permission is counted and told with `text`, the path or address that the verdict is about; of
 * two paths both, as /old//new. In a worker alone. */
long broker_permit(const struct broker_request *request, struct kw_policy_verdict verdict,
                   const char *text);

#endif
