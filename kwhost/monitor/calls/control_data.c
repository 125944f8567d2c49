#include "calls/control_data.h"

#include "base/text.h"
#include "calls/call.h"

/* struct cmsghdr */
struct control_header {
    u64 length; /* with this header */
    s32 level;
    s32 type;
};

enum { SOCKET_LEVEL = 1, RIGHTS = 1 }; /* SOL_SOCKET, SCM_RIGHTS */

/* No descriptor of the monitor may be in a SCM_RIGHTS array. */
static long check_rights(const u8 *data, u64 size) {
    u64 i;
    for (i = 0; i + sizeof(s32) <= size; i += sizeof(s32)) {
        s32 fd;
        memcpy(&fd, data + i, sizeof(fd));
        if (!guest_fd_ok((u64)(s64)fd))
            return -EBADF;
    }
    return 0;
}

long control_data_check(const u8 *control, u64 size) {
    u64 at = 0;

    while (size - at >= sizeof(struct control_header)) {
        struct control_header header;
        memcpy(&header, control + at, sizeof(header));
        if (header.length < sizeof(header) || header.length > size - at)
            return 0; /* the kernel stops here with EINVAL */
        if (header.level == SOCKET_LEVEL && header.type == RIGHTS) {
            long failed =
                check_rights(control + at + sizeof(header), header.length - sizeof(header));
            if (failed)
                return failed;
        }
        header.length = (header.length + 7) & ~7ul;
        if (header.length > size - at)
            return 0;
        at += header.length;
    }
    return 0;
}
