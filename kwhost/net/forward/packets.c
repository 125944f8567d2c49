#include "packets.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union rights {
    struct cmsghdr align;
    char room[CMSG_SPACE(sizeof(int) * PACKET_FDS_MAX)];
};

static struct msghdr message_of(const struct packet *packet, struct iovec parts[2]) {
    parts[0] = (struct iovec){packet->head, packet->head_size};
    parts[1] = (struct iovec){packet->body, packet->body_size};
    return (struct msghdr){.msg_iov = parts, .msg_iovlen = packet->body_size ? 2 : 1};
}

int packet_send(int channel, const struct packet *packet) {
    struct iovec parts[2];
    struct msghdr message = message_of(packet, parts);
    union rights rights = {0};
    size_t size = sizeof(int) * packet->fd_count;
    if (packet->fd_count) {
        message.msg_control = &rights;
        message.msg_controllen = CMSG_SPACE(size);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(size);
        memcpy(CMSG_DATA(header), packet->fds, size);
    }
    return sendmsg(channel, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static void take_rights(struct msghdr *message, struct packet *packet) {
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
         header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        size_t size = header->cmsg_len - CMSG_LEN(0);
        packet->fd_count = (unsigned)(size / sizeof(int));
        memcpy(packet->fds, CMSG_DATA(header), packet->fd_count * sizeof(int));
        return; /* the kernel puts all of a packet's into one */
    }
}

ssize_t packet_receive(int channel, struct packet *packet) {
    struct iovec parts[2];
    struct msghdr message = message_of(packet, parts);
    union rights rights = {0};
    message.msg_control = &rights;
    message.msg_controllen = sizeof(rights);
    packet->fd_count = 0;
    ssize_t size = recvmsg(channel, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (size < 0)
        return -errno;
    take_rights(&message, packet);
    if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        packet_close(packet);
        return -EMSGSIZE;
    }
    return size;
}

void packet_close(struct packet *packet) {
    for (unsigned i = 0; i < packet->fd_count; i++)
        close(packet->fds[i]);
    packet->fd_count = 0;
}
