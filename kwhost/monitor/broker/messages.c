/* Sending: address, vector, bytes and control data are copied once, judged and sent by the worker
 * on the caller's own socket; descriptors that go along are the caller's. */
#include <asm/signal.h>
#include <asm/socket.h>
#include <linux/mman.h>
#include <linux/uio.h>

#include "base/text.h"
#include "broker/perform.h"
#include "calls/sockets.h"
#include "jail/kernel.h"

#define CONTROL_MAX 20480u /* net.core.optmem_max defaults to no more; larger is ENOBUFS */
#define RIGHTS_MAX 253u    /* descriptors in a message, as the kernel */
#define MESSAGES_MAX 1024u
#define RW_COUNT_MAX 0x7ffff000ul
#define PIECE_MAX (4ul << 20) /* of a stream at once; datagrams are never as long */
#define SCM_CREDENTIALS 2

struct many_message {
    struct message message;
    u32 length;
    u32 padding;
};
struct credentials {
    u32 pid, uid, gid;
};

/* A message on its way. */
struct sending {
    const struct caller *caller;
    int socket;
    u32 flags;
    struct address address;
    struct iovec vector[UIO_MAXIOV]; /* in the caller's memory */
    u64 vector_count, left;          /* bytes of it that are to be sent still */
    _Alignas(8) u8 control[CONTROL_MAX];
    u64 control_size;
    int rights[RIGHTS_MAX];
    u32 rights_count;
};

static long read_vector(struct sending *sending, u64 from, u64 count) {
    if (count > UIO_MAXIOV)
        return -EMSGSIZE;
    long result =
        caller_read(sending->caller, from, sending->vector, count * sizeof *sending->vector);
    sending->vector_count = count;
    sending->left = 0;
    for (u64 i = 0; i < count && !result; i++) {
        u64 room = RW_COUNT_MAX - sending->left;
        if ((s64)sending->vector[i].iov_len < 0)
            result = -EINVAL;
        sending->vector[i].iov_len = min_u64(sending->vector[i].iov_len, room);
        sending->left += sending->vector[i].iov_len;
    }
    return result;
}

/* The caller's descriptors become the worker's in the copy. */
static long take_rights(struct sending *sending, u8 *data, u64 size) {
    for (u64 i = 0; i + sizeof(s32) <= size; i += sizeof(s32)) {
        s32 number;
        memcpy(&number, data + i, sizeof number);
        if (sending->rights_count == RIGHTS_MAX)
            return -EINVAL;
        long fd = caller_descriptor(sending->caller, number);
        if (fd < 0)
            return fd;
        number = sending->rights[sending->rights_count++] = (int)fd;
        memcpy(data + i, &number, sizeof number);
    }
    return 0;
}

/* The caller says who it is: its process, which is another than the one that sends, and any of its
 * ids, which the kernel looks at. */
static long take_credentials(struct sending *sending, u8 *data, u64 size) {
    struct credentials credentials;
    if (size != sizeof credentials)
        return -EINVAL;
    memcpy(&credentials, data, sizeof credentials);
    if (credentials.pid != sending->caller->pid)
        return -EPERM;
    credentials.pid = (u32)host(__NR_getpid);
    memcpy(data, &credentials, sizeof credentials);
    return 0;
}

static long read_control(struct sending *sending, u64 from, u64 size) {
    u64 at = 0;
    sending->control_size = size;
    if (size > CONTROL_MAX)
        return -ENOBUFS;
    long result = caller_read(sending->caller, from, sending->control, size);
    while (!result && size - at >= sizeof(struct control_header)) {
        struct control_header header;
        u8 *data = sending->control + at + sizeof header;
        memcpy(&header, sending->control + at, sizeof header);
        if (header.size < sizeof header || header.size > size - at)
            return -EINVAL;
        u64 length = header.size - sizeof header;
        if (header.level == SOL_SOCKET && header.type == SCM_RIGHTS)
            result = take_rights(sending, data, length);
        else if (header.level == SOL_SOCKET && header.type == SCM_CREDENTIALS)
            result = take_credentials(sending, data, length);
        at += min_u64((header.size + 7) & ~7ul, size - at);
    }
    return result;
}

/* Takes the next bytes out of the caller's memory. */
static long read_piece(struct sending *sending, u8 *to, u64 size) {
    for (u64 i = 0, done = 0; i < sending->vector_count && done < size; i++) {
        struct iovec *part = &sending->vector[i];
        u64 length = min_u64(part->iov_len, size - done);
        long result = caller_read(sending->caller, (u64)part->iov_base, to + done, length);
        if (result)
            return result;
        done += length;
    }
    return 0;
}

static void advance(struct sending *sending, u64 size) {
    sending->left -= size;
    for (u64 i = 0; i < sending->vector_count && size; i++) {
        struct iovec *part = &sending->vector[i];
        u64 length = min_u64(part->iov_len, size);
        part->iov_base = (u8 *)part->iov_base + length;
        part->iov_len -= length;
        size -= length;
    }
}

/* Sends as much as one call takes. The memory is fresh: the kernel may go on sending from it
 * (MSG_ZEROCOPY). */
static long send_piece(struct sending *sending) {
    u64 size = min_u64(sending->left, PIECE_MAX), room = page_up(size + 1);
    long memory =
        host(__NR_mmap, 0, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (host_failed(memory))
        return -ENOBUFS;
    struct iovec part = {(void *)memory, size};
    struct message message = {.vector = (u64)&part, .vector_count = 1};
    message.name = sending->address.size ? (u64)sending->address.bytes : 0;
    message.name_size = (s32)sending->address.size;
    message.control = sending->control_size ? (u64)sending->control : 0;
    message.control_size = sending->control_size;
    if (read_piece(sending, (u8 *)memory, size))
        part.iov_base = NULL; /* the kernel says what is wrong first */
    long result = host(__NR_sendmsg, sending->socket, &message, sending->flags | MSG_NOSIGNAL);
    host(__NR_munmap, memory, room);
    return result;
}

/* A stream that waits takes all, unless it is interrupted. */
static long send_all(struct sending *sending) {
    bool stream = socket_option(sending->socket, SO_TYPE) == SOCK_STREAM;
    long result, sent = 0;
    if (!stream && sending->left > PIECE_MAX)
        return -EMSGSIZE;
    do {
        result = send_piece(sending);
        if (result <= 0)
            break;
        sent += result;
        advance(sending, (u64)result);
        sending->control_size = 0;
    } while (stream && sending->left);
    if (result == -EPIPE && stream && !sent && !(sending->flags & MSG_NOSIGNAL))
        caller_signal(sending->caller, SIGPIPE);
    return sent ? sent : socket_result(sending->socket, result);
}

static long send_message(struct sending *sending, struct message *message) {
    s32 most = sizeof sending->address.bytes;
    if (message->name && message->name_size < 0)
        return -EINVAL;
    /* Too long a name is cut by the kernel. */
    u32 size = message->name ? (u32)(message->name_size < most ? message->name_size : most) : 0;
    long result = address_read(sending->caller, message->name, size, &sending->address);
    if (!result)
        result = read_vector(sending, message->vector, message->vector_count);
    if (!result)
        result = read_control(sending, message->control, message->control_size);
    if (!result && size)
        result = address_judge(sending->caller, sending->socket, &sending->address);
    if (!result)
        result = send_all(sending);
    address_close(&sending->address);
    while (sending->rights_count)
        host(__NR_close, sending->rights[--sending->rights_count]);
    return result;
}

static long send_to(struct sending *sending) {
    const u64 *arg = sending->caller->request->arg;
    u32 size = arg[4] ? (u32)arg[5] : 0;
    long result = address_read(sending->caller, arg[4], size, &sending->address);
    if (result)
        return result;
    sending->vector[0] = (struct iovec){(void *)arg[1], min_u64(arg[2], RW_COUNT_MAX)};
    sending->vector_count = 1;
    sending->left = sending->vector[0].iov_len;
    sending->control_size = 0;
    if (size)
        result = address_judge(sending->caller, sending->socket, &sending->address);
    if (!result)
        result = send_all(sending);
    address_close(&sending->address);
    return result;
}

/* How many were sent; an error only when none was. */
static long send_many(struct sending *sending) {
    const struct caller *caller = sending->caller;
    u64 at = caller->request->arg[1], count = min_u64((u32)caller->request->arg[2], MESSAGES_MAX);
    long result = 0, done = 0;
    while ((u64)done < count) {
        struct message message;
        result = caller_read(caller, at, &message, sizeof message);
        if (!result)
            result = send_message(sending, &message);
        if (result < 0)
            break;
        u32 length = (u32)result;
        result = caller_write(caller, at + offsetof(struct many_message, length), &length,
                              sizeof length);
        if (result < 0)
            break;
        at += sizeof(struct many_message);
        done++;
    }
    return done ? done : result;
}

long perform_send(const struct caller *caller) {
    static struct sending sending;
    const struct broker_request *request = caller->request;
    struct message message;
    long fd = caller_descriptor(caller, (int)request->arg[0]), result = 0;
    if (fd < 0)
        return fd;
    sending.caller = caller;
    sending.socket = (int)fd;
    sending.rights_count = 0;
    sending.flags = (u32)request->arg[request->nr == __NR_sendmsg ? 2 : 3];
    if (socket_option((int)fd, SO_TYPE) < 0)
        result = -ENOTSOCK;
    else if (request->nr == __NR_sendto)
        result = send_to(&sending);
    else if (request->nr == __NR_sendmmsg)
        result = send_many(&sending);
    else
        result = caller_read(caller, request->arg[1], &message, sizeof message);
    if (!result && request->nr == __NR_sendmsg)
        result = send_message(&sending, &message);
    host(__NR_close, fd);
    return result;
}
