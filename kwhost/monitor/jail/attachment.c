#include "jail/attachment.h"

#include <linux/mman.h>

#include "jail/kernel.h"

void attachment_clear(struct attachment *attachment) {
    *attachment = (struct attachment){.outputs = {-1, -1}, .input = -1, .relay = {.ended = true}};
}

bool attachment_is_free(const struct attachment *attachment) {
    return attachment->input < 0 && attachment->outputs[LOG_STDOUT] < 0 &&
           attachment->outputs[LOG_STDERR] < 0;
}

/* A descriptor that is never waited for. */
static int take_output(int fd, bool *is_socket) {
    struct statx stat;
    u32 type = host_stat(fd, "", AT_EMPTY_PATH, &stat) < 0 ? 0 : stat.stx_mode & S_IFMT;
    *is_socket = type == S_IFSOCK;
    if (type != S_IFIFO && type != S_IFCHR)
        return fd;
    int own = relay_reopen(fd, O_WRONLY);
    if (own == fd)
        host(__NR_fcntl, fd, F_SETFL, host(__NR_fcntl, fd, F_GETFL, 0) | O_NONBLOCK);
    else
        host(__NR_close, fd);
    return own;
}

void attachment_connect(struct attachment *attachment, u32 flags, const int *fds,
                        const u32 held[LOG_STREAMS]) {
    attachment_clear(attachment);
    attachment->ends_input = flags & KW_ATTACH_CLOSE_STDIN;
    if (flags & KW_ATTACH_STDIN)
        attachment->input = *fds++;
    for (u32 i = 0; i < LOG_STREAMS && flags & KW_ATTACH_OUTPUT; i++) {
        attachment->outputs[i] = take_output(*fds++, &attachment->sockets[i]);
        attachment->taken[i] = held[i];
    }
}

bool attachment_begin_input(struct attachment *attachment, int to, bool is_terminal) {
    long memory =
        host(__NR_mmap, 0, RELAY_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (host_failed(memory))
        return false;
    struct relay *relay = &attachment->relay;
    relay_to_instance(relay, attachment->input, to, is_terminal, (u8 *)memory);
    relay->own = -1; /* other attachments may use it too */
    relay->end_of_file_key = is_terminal && attachment->ends_input;
    if (relay->from != attachment->input)
        host(__NR_close, attachment->input);
    attachment->input = relay->from;
    return true;
}

long attachment_take(struct attachment *attachment, enum log_stream stream, const u8 *data,
                     u32 held) {
    int fd = attachment->outputs[stream];
    u32 *taken = &attachment->taken[stream];
    while (fd >= 0 && *taken < held) {
        const u8 *from = data + *taken;
        long result = attachment->sockets[stream] ? host(__NR_sendto, fd, from, held - *taken,
                                                         MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0)
                                                  : host(__NR_write, fd, from, held - *taken);
        if (result == -EAGAIN || result == -EINTR)
            return 0;
        if (result <= 0) {
            attachment_drop_output(attachment, stream);
            return result < 0 ? result : -EIO;
        }
        *taken += (u32)result;
    }
    return 0;
}

void attachment_drop_input(struct attachment *attachment) {
    if (attachment->input >= 0)
        host(__NR_close, attachment->input);
    attachment->input = -1;
    if (attachment->relay.data)
        host(__NR_munmap, attachment->relay.data, RELAY_SIZE);
    attachment->relay = (struct relay){.ended = true};
}

void attachment_drop_output(struct attachment *attachment, enum log_stream stream) {
    if (attachment->outputs[stream] >= 0)
        host(__NR_close, attachment->outputs[stream]);
    attachment->outputs[stream] = -1;
}
