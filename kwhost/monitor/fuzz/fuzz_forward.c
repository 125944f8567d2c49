/* link: ../net/forward/request.c */
/* Requests to the forwarder against anything: every field that is used of one that passes is in
 * order. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../net/forward/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool good) {
    if (!good)
        abort();
}

static void check_name(const char *name) {
    require(name[0] && memchr(name, 0, KW_FORWARD_NAME_MAX));
}

static void check_port(const struct kw_forward_port *port) {
    require(port->transport == KW_FORWARD_TCP || port->transport == KW_FORWARD_UDP);
    require(port->family == 4 || port->family == 6);
    require(port->number && port_is_same(port, port));
}

static void check(const struct kw_forward_message *request, unsigned fd_count) {
    if (request->type == KW_FORWARD_ADD || request->type == KW_FORWARD_TARGETS ||
        request->type == KW_FORWARD_REMOVE_PORT)
        check_port(&request->port);
    if (request->type == KW_FORWARD_NAMESPACE || request->type == KW_FORWARD_REMOVE_TARGET)
        check_name(request->target.name);
    if (request->type == KW_FORWARD_NAMESPACE)
        require(request->target.uid && request->target.gid && fd_count);
    if (request->type != KW_FORWARD_TARGETS)
        return;
    require(request->count <= KW_FORWARD_ENDS_MAX);
    for (uint32_t i = 0; i < request->count; i++) {
        check_name(request->ends[i].target);
        require(request->ends[i].port && request->ends[i].port <= UINT16_MAX);
    }
}

/* The first byte is the number of descriptors; like the server, what came is put in front of zeros.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct kw_forward_message request;
    if (size < 1 || size - 1 > sizeof(request))
        return 0;
    unsigned fd_count = data[0] % 4;
    memset(&request, 0, sizeof(request));
    memcpy(&request, data + 1, size - 1);
    if (size > KW_FORWARD_PREFIX) { /* lets the fuzzer get past what it could only guess */
        request.magic = KW_FORWARD_MAGIC;
        request.version = KW_FORWARD_VERSION;
    }
    size_t said = data[0] & 0x80 ? sizeof(request) : size - 1;
    if (request_check(&request, said, fd_count) == 0)
        check(&request, fd_count);
    return 0;
}
