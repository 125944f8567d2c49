/* sendmsg, recvmsg and their plural forms: headers, vectors, names and control data are copied, so
 * that what was checked is what the kernel uses. */
#include <linux/limits.h>
#include <linux/socket.h>
#include <linux/time.h>

#include "base/text.h"
#include "calls/addresses.h"
#include "calls/call.h"
#include "calls/control_data.h"
#include "calls/dispatch.h"
#include "calls/handlers.h"
#include "calls/judged.h"
#include "process/permit.h"
#include "calls/sockets.h"
#include "calls/translate.h"
#include "calls/wait.h"
#include "process/thread.h"

struct many_message {
    struct message message;
    u32 length;
    u32 padding;
};
#define MESSAGES_MAX 1024
#define CONTROL_MAX 20480 /* net.core.optmem_max defaults to no more; larger is ENOBUFS */
#define MSG_WAITFORONE_FLAG 0x10000

/* Makes the host's form of a message to send in place. */
static long translate_sent(struct thread *thread, struct message *message) {
    long failed = 0;

    if (message->name && message->name_size) {
        /* Too long a name is cut by the kernel. */
        if (message->name_size > (s32)sizeof(struct __kernel_sockaddr_storage))
            message->name_size = sizeof(struct __kernel_sockaddr_storage);
        if (message->name_size < 0)
            return -EINVAL;
        failed = copy_sockaddr(thread, message->name, (u32)message->name_size, &message->name);
    } else {
        message->name = 0;
        message->name_size = 0;
    }
    if (!failed)
        failed = copy_iovec(thread, message->vector, message->vector_count, &message->vector);
    if (failed)
        return failed;
    if (message->control_size > CONTROL_MAX)
        return -ENOBUFS;
    if (message->control_size) {
        void *copy = scratch_take(thread, message->control_size);
        if (!copy)
            return -ENOMEM;
        if (copy_from_guest(copy, message->control, message->control_size))
            return -EFAULT;
        failed = control_data_check(copy, message->control_size);
        message->control = (u64)copy;
    }
    return failed;
}

/* Likewise for a message to receive: names and control data go to the guest's memory directly. */
static long translate_received(struct thread *thread, struct message *message) {
    if (message->name_size < 0 && message->name)
        return -EINVAL;
    message->name = host_pointer(message->name);
    if (message->control_size > INT32_MAX)
        return -ENOBUFS;
    message->control = host_buffer(message->control, message->control_size);
    return copy_iovec(thread, message->vector, message->vector_count, &message->vector);
}

/* Gives back what recvmsg changes: the name's length, the control data's length, the flags. */
static long return_received(gva_t to, const struct message *message) {
    long failed = copy_to_guest(to + offsetof(struct message, name_size), &message->name_size,
                                sizeof(message->name_size));
    if (!failed)
        failed = copy_to_guest(to + offsetof(struct message, control_size), &message->control_size,
                               sizeof(message->control_size));
    if (!failed)
        failed = copy_to_guest(to + offsetof(struct message, flags), &message->flags,
                               sizeof(message->flags));
    return failed;
}

static long host_message(struct call *call, long nr, s32 fd, struct message *message, u32 flags) {
    const u64 args[6] = {(u64)(s64)fd, (u64)message, flags};
    return interrupted(call->thread, RESTART_SYS, host_interruptible(call->thread, nr, args));
}

/* With an address that the policy has to say something about. */
static long send_judged(struct call *call, struct message *message, u32 flags) {
    struct borrowed socket = borrow(call->thread, (s32)call->arg[0]);
    if (socket.fd < 0)
        return socket.fd == -EMFILE ? -ENOBUFS : -EBADF;
    long result = permit_destination(call, socket.fd, message->name, (u32)message->name_size);
    if (!result)
        result = host_message(call, __NR_sendmsg, socket.fd, message, flags);
    give_back(socket);
    return result;
}

static long send_one(struct call *call, gva_t from, u32 flags) {
    struct message message;
    long result = copy_from_guest(&message, from, sizeof(message));

    if (!result)
        result = translate_sent(call->thread, &message);
    if (result)
        return socket_error((s32)call->arg[0], result);
    if (message.name && local_is_judged(message.name, (u32)message.name_size))
        return judged_send(call, (s32)call->arg[0], &message, flags);
    if (message.name && policy_looks_for(KW_POLICY_LOOKS_NETWORK))
        return send_judged(call, &message, flags);
    return host_message(call, __NR_sendmsg, (s32)call->arg[0], &message, flags);
}

static long receive_one(struct call *call, gva_t from, u32 flags, u32 *out_flags) {
    struct message message;
    long failed, result = copy_from_guest(&message, from, sizeof(message));

    if (!result)
        result = translate_received(call->thread, &message);
    if (result)
        return socket_error((s32)call->arg[0], result);
    result = host_message(call, __NR_recvmsg, (s32)call->arg[0], &message, flags);
    if (result < 0)
        return result;
    failed = return_received(from, &message);
    *out_flags = message.flags;
    return failed ? failed : result;
}

long sys_sendmsg(struct call *call) {
    if (!guest_fd_ok(call->arg[0]))
        return -EBADF;
    return socket_restart(call, send_one(call, call->arg[1], (u32)call->arg[2]));
}

long sys_recvmsg(struct call *call) {
    u32 flags;
    if (!guest_fd_ok(call->arg[0]))
        return -EBADF;
    return socket_restart(call, receive_one(call, call->arg[1], (u32)call->arg[2], &flags));
}

/* The result of a plural call: how many were done; an error only when none was. */
static long many_result(struct call *call, u32 done, long result) {
    return done ? (long)done : socket_restart(call, result);
}

long sys_sendmmsg(struct call *call) {
    u32 done = 0, count = min_u64((u32)call->arg[2], MESSAGES_MAX);
    u64 scratch = call->thread->scratch_used;
    long result = 0;

    if (!guest_fd_ok(call->arg[0]))
        return -EBADF;
    while (done < count) {
        gva_t at = call->arg[1] + done * sizeof(struct many_message);
        u32 length;
        call->thread->scratch_used = scratch;
        result = send_one(call, at, (u32)call->arg[3]);
        if (result < 0)
            break;
        length = (u32)result;
        result = copy_to_guest(at + offsetof(struct many_message, length), &length, sizeof(length));
        if (result < 0)
            break;
        done++;
    }
    return many_result(call, done, result);
}

/* Reads the time-out of recvmmsg: 0 or an errno; *end is NO_DEADLINE when there is none. */
static long read_deadline(struct thread *thread, gva_t from, u64 *end) {
    struct __kernel_timespec timeout;

    *end = NO_DEADLINE;
    if (!from)
        return 0;
    if (get_guest(timeout, from))
        return -EFAULT;
    if (!timespec_valid(&timeout))
        return -EINVAL;
    *end = deadline_start(thread, timespec_ns(&timeout));
    return 0;
}

static bool is_over(u64 end) {
    return end != NO_DEADLINE && (u64)clock_ns(CLOCK_MONOTONIC) >= end;
}

static void return_remaining(gva_t to, u64 end) {
    struct __kernel_timespec left;
    if (!to)
        return;
    left = deadline_left(end);
    (void)put_guest(left, to);
}

/* As on Linux the time-out is looked at only after each message. */
long sys_recvmmsg(struct call *call) {
    u32 done = 0, count = min_u64((u32)call->arg[2], MESSAGES_MAX), flags = (u32)call->arg[3];
    u64 end, scratch = call->thread->scratch_used;
    long result;

    if (!guest_fd_ok(call->arg[0]))
        return -EBADF;
    result = read_deadline(call->thread, call->arg[4], &end);
    if (result)
        return result;
    while (done < count) {
        gva_t at = call->arg[1] + done * sizeof(struct many_message);
        u32 length, out_flags = 0;
        call->thread->scratch_used = scratch;
        result = receive_one(call, at, flags & ~(u32)MSG_WAITFORONE_FLAG, &out_flags);
        if (result < 0)
            break;
        length = (u32)result;
        result = copy_to_guest(at + offsetof(struct many_message, length), &length, sizeof(length));
        if (result < 0)
            break;
        done++;
        if (flags & MSG_WAITFORONE_FLAG)
            flags |= MSG_DONTWAIT_FLAG;
        if ((out_flags & 1 /* MSG_OOB */) || is_over(end))
            break;
    }
    if (done || result != -ERESTARTNOINTR)
        return_remaining(call->arg[4], end);
    return many_result(call, done, result);
}
