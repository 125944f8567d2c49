#include "jail/taps.h"

#include <linux/if_tun.h>
#include <linux/ioctl.h>

#include "base/host.h"
#include "base/text.h"

/* IFF_NO_PI cannot be asked for: here the kernel uses the same bit for IFF_NOFILTER. */
#define FRAMES (IFF_TAP | IFF_VNET_HDR)

struct tap_request { /* struct ifreq */
    char name[KW_TAP_NAME_MAX];
    u16 flags;
    u8 unused[22];
};

static bool check_queue(const struct kw_tap *tap, int fd, struct failure *failure) {
    struct tap_request request = {.flags = 0};
    int size = 0;
    long result = host(__NR_ioctl, fd, TUNGETIFF, &request);
    if (result < 0)
        return fail(failure, STATUS_OWN, result, "descriptor %d is no queue of the tap %s", fd,
                    tap->name);
    if (strcmp(request.name, tap->name))
        return fail(failure, STATUS_OWN, 0, "descriptor %d is a queue of %s and not of the tap %s",
                    fd, request.name, tap->name);
    if ((request.flags & FRAMES) != FRAMES || request.flags & IFF_DETACH_QUEUE)
        return fail(failure, STATUS_OWN, 0,
                    "descriptor %d of %s is not in use as a tap with a virtio header", fd,
                    tap->name);
    if (tap->queue_count > 1 && !(request.flags & IFF_MULTI_QUEUE))
        return fail(failure, STATUS_OWN, 0, "the tap %s has one queue, not %u", tap->name,
                    tap->queue_count);
    result = host(__NR_ioctl, fd, TUNGETVNETHDRSZ, &size);
    if (result < 0 || (u32)size != tap->header_size)
        return fail(failure, STATUS_OWN, result < 0 ? result : 0,
                    "the tap %s has a virtio header of %d bytes, not %u", tap->name, size,
                    tap->header_size);
    return true;
}

bool taps_check(const struct launch *launch, struct failure *failure) {
    for (u32 i = 0; i < launch->record->tap_count; i++)
        for (u32 j = 0; j < launch->taps[i].queue_count; j++)
            if (!check_queue(&launch->taps[i], launch->taps[i].queue_fds[j], failure))
                return false;
    return true;
}

bool taps_refuse(const struct launch *launch, struct failure *failure) {
    return !launch->record->tap_count ||
           fail(failure, STATUS_OWN, 0,
                "the engine direct has no use for the tap %s: attach the instance by a network "
                "namespace",
                launch->taps[0].name);
}
