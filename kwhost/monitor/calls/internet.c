#include "calls/internet.h"

#include <linux/in.h>
#include <linux/in6.h>
#include <asm/socket.h>

#include "base/host.h"
#include "base/text.h"

enum { FAMILY_UNSPECIFIED = 0, FAMILY_INET = 2, FAMILY_INET6 = 10 };
enum { LEVEL_SOCKET = 1, MULTIPATH_TCP = 262 };
#define INET6_LEAST 24 /* an address without its scope is as good */

static u16 big_endian(u16 value) {
    return __builtin_bswap16(value);
}

bool internet_read(const void *name, u64 size, struct policy_address *address) {
    const struct sockaddr_in *four = name;
    const struct sockaddr_in6 *six = name;
    *address = (struct policy_address){.port = 0};
    if (size < sizeof *four)
        return false;
    address->port = big_endian(four->sin_port);
    /* The kernel takes an unspecified family for IPv4 in places. */
    if (four->sin_family == FAMILY_INET || four->sin_family == FAMILY_UNSPECIFIED) {
        address->bytes[10] = address->bytes[11] = 0xff;
        memcpy(address->bytes + 12, &four->sin_addr, 4);
        return true;
    }
    memcpy(address->bytes, &six->sin6_addr, size < INET6_LEAST ? 0 : sizeof address->bytes);
    return six->sin6_family == FAMILY_INET6 && size >= INET6_LEAST;
}

u8 internet_protocol(int fd) {
    s32 protocol = 0;
    u32 size = sizeof protocol;
    host(__NR_getsockopt, fd, LEVEL_SOCKET, SO_PROTOCOL, &protocol, &size);
    return protocol == MULTIPATH_TCP ? IPPROTO_TCP : (u8)protocol;
}

void internet_describe(const struct policy_address *address, char text[INTERNET_TEXT]) {
    static const u8 mapped[12] = {[10] = 0xff, [11] = 0xff};
    const u8 *b = address->bytes;
    struct text to = {.data = text, .size = INTERNET_TEXT};
    if (!memcmp(b, mapped, sizeof mapped)) {
        text_add(&to, "%u.%u.%u.%u", b[12], b[13], b[14], b[15]);
    } else {
        for (u32 i = 0; i < 16; i += 2)
            text_add(&to, "%s%x", i ? ":" : "[", (u32)b[i] << 8 | b[i + 1]);
        text_add(&to, "]");
    }
    text_add(&to, ":%u", address->port);
    if (address->protocol == IPPROTO_TCP || address->protocol == IPPROTO_UDP)
        text_add(&to, "/%s", address->protocol == IPPROTO_TCP ? "tcp" : "udp");
}
