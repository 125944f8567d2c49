#include "jail/relay.h"

#include "base/text.h"
#include "jail/kernel.h"

#define MOVE_AT_ONCE (1u << 20)
#define END_OF_FILE 4 /* ^D */

static u32 file_type(int fd) {
    struct statx stat;
    return host_stat(fd, "", AT_EMPTY_PATH, &stat) < 0 ? 0 : stat.stx_mode & S_IFMT;
}

/* Terminals may block whatever poll said, and pipes when much is written. O_NONBLOCK would reach
 * everybody who shares the open file. */
int relay_reopen(int fd, u32 flags) {
    char path[32];
    format(path, sizeof path, "/proc/self/fd/%d", fd);
    long own = host(__NR_openat, AT_FDCWD, path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0);
    return own < 0 ? fd : (int)own;
}

/* Where a second open file of the same terminal cannot be had the shared one must do. */
static int unshare_device(int fd, u32 flags) {
    return file_type(fd) == S_IFCHR ? relay_reopen(fd, flags) : fd;
}

static void set_nonblocking(int fd) {
    long flags = host(__NR_fcntl, fd, F_GETFL, 0);
    host(__NR_fcntl, fd, F_SETFL, flags | O_NONBLOCK);
}

void relay_to_instance(struct relay *relay, int from, int to, bool is_terminal, u8 *data) {
    set_nonblocking(to);
    *relay =
        (struct relay){.from = unshare_device(from, O_RDONLY),
                       .to = to,
                       .own = is_terminal ? -1 : to,
                       /* never a file: its cached pages would lie in a hostile reader's pipe */
                       .splices = !is_terminal && file_type(from) == S_IFIFO,
                       .end_of_file_key = is_terminal,
                       .data = data};
}

void relay_from_instance(struct relay *relay, int from, int to, bool is_terminal, u8 *data) {
    u32 type = file_type(to);
    set_nonblocking(from);
    *relay = (struct relay){.from = from,
                            .to = unshare_device(to, O_WRONLY),
                            .own = is_terminal ? -1 : from,
                            .splices = !is_terminal && (type == S_IFIFO || type == S_IFREG),
                            .socket = type == S_IFSOCK,
                            .data = data};
}

static void end(struct relay *relay) {
    if (relay->own >= 0)
        host(__NR_close, relay->own);
    relay->own = -1;
    relay->from = -1;
    relay->held = 0;
    relay->ended = true;
}

/* `to` takes nothing any more. A reader that left wants nothing; anything else loses output. */
static void end_broken(struct relay *relay, long error) {
    if (error != -EPIPE && error != -ECONNRESET)
        relay->lost = error;
    end(relay);
}

/* No more input: what is held goes out first, and a terminal gets the key that means it. */
static void end_input(struct relay *relay) {
    if (!relay->end_of_file_key) {
        end(relay);
        return;
    }
    relay->end_of_file_key = false;
    relay->from = -1;
    relay->start = 0;
    relay->held = 1;
    relay->data[0] = END_OF_FILE;
}

struct pollfd relay_wants(const struct relay *relay) {
    if (relay->ended)
        return (struct pollfd){.fd = -1};
    if (relay->full || relay->held > 0)
        return (struct pollfd){.fd = relay->to, .events = POLLOUT};
    return (struct pollfd){.fd = relay->from, .events = POLLIN};
}

static bool is_ready(int fd, short events) {
    struct pollfd poll = {.fd = fd, .events = events};
    return host(__NR_poll, &poll, 1, 0) > 0;
}

/* Returns false when `to` or the kernel cannot splice. */
static bool splice_once(struct relay *relay) {
    long result = host(__NR_splice, relay->from, 0, relay->to, 0, MOVE_AT_ONCE, SPLICE_F_NONBLOCK);
    if (result == -EINVAL)
        return false;
    if (result == -EAGAIN)
        relay->full = !is_ready(relay->to, POLLOUT);
    else if (result == 0)
        end(relay);
    else if (result < 0 && result != -EINTR)
        end_broken(relay, result);
    return true;
}

static void read_once(struct relay *relay) {
    long result = host(__NR_read, relay->from, relay->data, RELAY_SIZE);
    if (result == -EAGAIN || result == -EINTR)
        return;
    if (result <= 0) {
        end_input(relay);
        return;
    }
    relay->start = 0;
    relay->held = (u32)result;
}

static void write_once(struct relay *relay) {
    u8 *data = relay->data + relay->start;
    long result = relay->socket ? host(__NR_sendto, relay->to, data, relay->held,
                                       MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0)
                                : host(__NR_write, relay->to, data, relay->held);
    if (result == -EINTR || result == -EAGAIN) {
        relay->full = result == -EAGAIN;
        return;
    }
    if (result < 0) {
        end_broken(relay, result);
        return;
    }
    relay->start += (u32)result;
    relay->held -= (u32)result;
    if (relay->held == 0 && relay->from < 0)
        end(relay);
}

void relay_move(struct relay *relay) {
    if (relay->ended)
        return;
    relay->full = false;
    if (relay->splices) {
        if (splice_once(relay))
            return;
        relay->splices = false;
    }
    if (relay->held == 0)
        read_once(relay);
    if (relay->held > 0)
        write_once(relay);
}

bool relay_is_drained(struct relay *relay) {
    return relay->ended || (relay->held == 0 && !relay->full && !is_ready(relay->from, POLLIN));
}
