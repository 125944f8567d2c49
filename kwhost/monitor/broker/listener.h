/* The kernel's side of the broker: calls that a program's filter handed over (seccomp_unotify(2)).
 */
#ifndef KW_BROKER_LISTENER_H
#define KW_BROKER_LISTENER_H

#include "broker/request.h"

/* Whether the kernel's structures are those that this was built with: to be asked once. */
bool listener_is_understood(void);

/* Takes the next call of a listener that is ready for reading. False: its caller is gone. */
bool listener_receive(int listener, struct broker_request *request);

/* Lets the caller make the call itself, as it is. Only where nothing but its registers was judged:
 * memory, descriptors and names may be others by then. */
void listener_continue(const struct broker_request *request);

/* Ends the call. A descriptor of the result's is the caller's from then on, and closed here. What
 * the caller does not wait for any more is lost. */
void listener_answer(const struct broker_request *request, const struct broker_result *result);

/* Likewise, with a negative errno. */
void listener_refuse(const struct broker_request *request, long error);

#endif
