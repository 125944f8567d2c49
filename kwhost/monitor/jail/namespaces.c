#include "jail/namespaces.h"

#include "jail/channel.h"
#include "jail/kernel.h"

static bool offer(int channel, int proc, enum channel_type type, const char *const *paths,
                  u32 count, struct failure *failure) {
    struct channel_report report = {.type = type};
    int fds[NAMESPACE_FDS];
    u32 opened = 0;
    long result = 0;
    while (opened < count && result >= 0) {
        result = host(__NR_openat, proc, paths[opened], O_RDONLY | O_CLOEXEC, 0);
        if (result >= 0)
            fds[opened++] = (int)result;
    }
    if (result >= 0)
        result = channel_send(channel, &report, sizeof report, fds, opened);
    while (opened > 0)
        host(__NR_close, fds[--opened]);
    return result >= 0 ||
           fail(failure, STATUS_OWN, result, "handing the instance's namespaces to the supervisor");
}

bool namespaces_offer_network(int channel, int proc, struct failure *failure) {
    static const char *const paths[NETWORK_FDS] = {"self/ns/user", "self/ns/net"};
    return offer(channel, proc, CHANNEL_NETWORK, paths, NETWORK_FDS, failure);
}

bool namespaces_offer_broker(int channel, int proc, struct failure *failure) {
    static const char *const paths[NAMESPACE_FDS] = {"self/ns/user", "self/ns/mnt",
                                                     "self/ns/ipc",  "self/ns/uts",
                                                     "self/ns/net",  "self/ns/cgroup"};
    return offer(channel, proc, CHANNEL_NAMESPACES, paths, NAMESPACE_FDS, failure);
}
