/* Requests of the daemon, checked before anything uses them. Pure: the fuzzer's target. */
#ifndef FORWARD_REQUEST_H
#define FORWARD_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol.h"

/* 0, or a negative errno for a request that must not be carried out: -EPROTO when it is none at all
 * and gets no answer. `size` bytes of it came, with so many descriptors. */
int request_check(const struct kw_forward_message *request, size_t size, unsigned fd_count);

bool port_is_same(const struct kw_forward_port *one, const struct kw_forward_port *other);

#endif
