/* Where a target is called: at its own address, as others on its network would, and where nobody
 * listens there at its loopback address, for servers that listen on no other. First the client's
 * version of IP. */
#include <string.h>

#include "relay.h"

static socklen_t address4(const uint8_t bytes[4], uint16_t number, union address *address) {
    address->v4.sin_family = AF_INET;
    address->v4.sin_port = htons(number);
    memcpy(&address->v4.sin_addr, bytes, 4);
    return sizeof(address->v4);
}

static socklen_t address6(const uint8_t bytes[16], uint16_t number, union address *address) {
    address->v6.sin6_family = AF_INET6;
    address->v6.sin6_port = htons(number);
    memcpy(&address->v6.sin6_addr, bytes, 16);
    return sizeof(address->v6);
}

socklen_t relay_address(unsigned turn, unsigned family, uint16_t number, union address *address) {
    static const uint8_t loopback4[4] = {127, 0, 0, 1}, loopback6[16] = {[15] = 1}, none[16];
    bool own4 = memcmp(relay_target.address4, none, 4) != 0;
    bool own6 = memcmp(relay_target.address6, none, 16) != 0;
    memset(address, 0, sizeof(*address));
    for (unsigned step = 0; step < 4; step++) {
        bool four = (step % 2 == 0) == (family == 4);
        bool own = step < 2;
        if ((own && !(four ? own4 : own6)) || turn--)
            continue;
        if (four)
            return address4(own ? relay_target.address4 : loopback4, number, address);
        return address6(own ? relay_target.address6 : loopback6, number, address);
    }
    return 0;
}
