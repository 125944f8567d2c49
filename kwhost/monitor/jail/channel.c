#include "jail/channel.h"

#include "base/text.h"
#include "jail/kernel.h"

struct fd_control {
    struct control_header header;
    int fds[SOURCE_LIMIT];
};

long channel_pair(int ends[2]) {
    return host(__NR_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends);
}

static long send_packet(int socket, const void *data, size_t size, const int *fds, u32 count,
                        u32 flags) {
    struct iovec vector = {(void *)data, size};
    struct fd_control control;
    struct message_header message = {.vector = &vector, .vector_count = 1};
    if (count > SOURCE_LIMIT)
        return -E2BIG;
    if (count > 0) {
        control.header = (struct control_header){sizeof control.header + count * sizeof(int),
                                                 SOL_SOCKET, SCM_RIGHTS};
        memcpy(control.fds, fds, count * sizeof(int));
        message.control = &control;
        message.control_size = control.header.size;
    }
    long result;
    do
        result = host(__NR_sendmsg, socket, &message, MSG_NOSIGNAL | flags);
    while (result == -EINTR);
    return result;
}

long channel_send(int socket, const void *data, size_t size, const int *fds, u32 count) {
    return send_packet(socket, data, size, fds, count, 0);
}

long channel_send_now(int socket, const void *data, size_t size, const int *fds, u32 count) {
    return send_packet(socket, data, size, fds, count, MSG_DONTWAIT);
}

long channel_receive(int socket, void *data, size_t size, int *fds, u32 limit, u32 *count) {
    struct iovec vector = {data, size};
    struct fd_control control;
    struct message_header message = {.vector = &vector,
                                     .vector_count = 1,
                                     .control = &control,
                                     .control_size = sizeof control.header + limit * sizeof(int)};
    long result;
    *count = 0;
    if (limit > SOURCE_LIMIT)
        return -E2BIG;
    do
        result = host(__NR_recvmsg, socket, &message, MSG_CMSG_CLOEXEC);
    while (result == -EINTR);
    if (result < 0)
        return result;
    if (message.control_size >= sizeof control.header && control.header.level == SOL_SOCKET &&
        control.header.type == SCM_RIGHTS) {
        *count = (u32)((control.header.size - sizeof control.header) / sizeof(int));
        memcpy(fds, control.fds, *count * sizeof(int));
    }
    return message.flags & (MSG_TRUNC | MSG_CTRUNC) ? -EBADMSG : result;
}
