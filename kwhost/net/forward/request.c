#include "request.h"

#include <errno.h>
#include <string.h>

static bool is_name(const char name[KW_FORWARD_NAME_MAX]) {
    return name[0] && memchr(name, 0, KW_FORWARD_NAME_MAX);
}

static bool is_port(const struct kw_forward_port *port) {
    static const uint8_t zeros[12];
    if (port->transport != KW_FORWARD_TCP && port->transport != KW_FORWARD_UDP)
        return false;
    if (port->family == 4 && memcmp(port->address + 4, zeros, sizeof(zeros)) != 0)
        return false;
    return (port->family == 4 || port->family == 6) && port->number;
}

static bool are_ends(const struct kw_forward_message *request) {
    if (request->count > KW_FORWARD_ENDS_MAX)
        return false;
    for (uint32_t i = 0; i < request->count; i++) {
        const struct kw_forward_end *end = &request->ends[i];
        if (!is_name(end->target) || !end->port || end->port > UINT16_MAX)
            return false;
    }
    return true;
}

/* Whether each field that this kind of request uses makes sense. */
static bool is_good(const struct kw_forward_message *request, unsigned fd_count) {
    switch (request->type) {
    case KW_FORWARD_ADD:
        return fd_count == 1 && is_port(&request->port) && are_ends(request);
    case KW_FORWARD_TARGETS:
        return !fd_count && is_port(&request->port) && are_ends(request);
    case KW_FORWARD_REMOVE_PORT:
        return !fd_count && is_port(&request->port);
    case KW_FORWARD_NAMESPACE: /* a relay must not keep root's ids */
        return (fd_count == 1 || fd_count == 2) && is_name(request->target.name) &&
               request->target.uid && request->target.gid && request->target.uid != UINT32_MAX &&
               request->target.gid != UINT32_MAX;
    case KW_FORWARD_REMOVE_TARGET:
        return !fd_count && is_name(request->target.name);
    case KW_FORWARD_LIST:
    case KW_FORWARD_COUNTS:
    case KW_FORWARD_WATCH:
        return !fd_count;
    default:
        return false;
    }
}

int request_check(const struct kw_forward_message *request, size_t size, unsigned fd_count) {
    if (size < KW_FORWARD_PREFIX || request->magic != KW_FORWARD_MAGIC)
        return -EPROTO;
    /* Of these two the rest may be another version's. */
    if (request->type == KW_FORWARD_HELLO || request->type == KW_FORWARD_STOP)
        return fd_count ? -EINVAL : 0;
    if (size != sizeof(*request) || request->version != KW_FORWARD_VERSION)
        return -EINVAL;
    return is_good(request, fd_count) ? 0 : -EINVAL;
}

bool port_is_same(const struct kw_forward_port *one, const struct kw_forward_port *other) {
    return memcmp(one, other, sizeof(*one)) == 0;
}
