#include "jail/network.h"

#include <linux/sockios.h>

#include "base/text.h"
#include "jail/kernel.h"

#define INTERFACE_UP 1 /* IFF_UP */

struct interface_request { /* struct ifreq */
    char name[16];
    u16 flags;
    u8 unused[22];
};

bool network_start(int proc, struct failure *failure) {
    struct interface_request request = {.name = "lo", .flags = INTERFACE_UP};
    long socket = host(__NR_socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    long result = socket < 0 ? socket : host(__NR_ioctl, socket, SIOCSIFFLAGS, &request);
    if (socket >= 0)
        host(__NR_close, socket);
    if (result < 0)
        return fail(failure, STATUS_OWN, result, "starting the instance's loopback network");
    long file =
        host(__NR_openat, proc, "sys/net/ipv4/ip_unprivileged_port_start", O_WRONLY | O_CLOEXEC, 0);
    result = file < 0 ? file : host(__NR_write, file, "0", 1);
    if (file >= 0)
        host(__NR_close, file);
    return result >= 0 || fail(failure, STATUS_OWN, result, "opening low ports to the instance");
}

bool network_name(const char *name, struct failure *failure) {
    long result = host(__NR_sethostname, name, strlen(name));
    if (result >= 0) /* the host's own stays its own */
        result = host(__NR_setdomainname, "(none)", 6);
    return result >= 0 || fail(failure, STATUS_OWN, result, "setting the host name %s", name);
}
