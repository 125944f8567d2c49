/* What the kernel tells of a caller in /proc/TID/status. */
#ifndef KW_BROKER_STATUS_H
#define KW_BROKER_STATUS_H

#include "broker/request.h"

/* The whole text, until the next one is read; NULL: the caller does not wait for its call any more.
 */
const char *status_read(const struct broker_request *request);

/* What stands behind "NAME:" and blanks, up to the line's end; "": there is no such line. */
const char *status_field(const char *status, const char *name);

/* The first decimal number there, or the first hexadecimal one; 0: none. */
u64 status_number(const char *status, const char *name);
u64 status_mask(const char *status, const char *name);

/* Of "NSpid" or "NStgid": the id in the instance's pid namespace, or where it has none of its own
 * in this one. */
int status_inner_id(const char *status, const char *name);

/* Signals that the thread would take if it were not in a call: those that nobody else can take, and
 * those that another thread of its process might. */
struct status_signals {
    u64 own, shared;
};
struct status_signals status_signals(const char *status);

/* Whether one of these, which have awaited the caller's process for a while, is certain to await
 * the caller: the kernel has woken somebody who does not block it, and everybody else who does not
 * sleeps. `first`: no other thread before it may be the one. */
bool status_is_certain(const struct broker_request *request, u64 signals, bool *first);

#endif
