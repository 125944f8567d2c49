/* Sockets of the file system: what is judged is the socket that a path leads to, held by a
 * descriptor, and that very descriptor's name is what the kernel is given instead of the path.
 *
 * That name is a relative one, so it takes a thread with a working directory of its own, and in
 * such a thread nothing may block: where a call would, it is tried again after a moment, as Linux
 * looks again for the socket when there is room. */
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/time_types.h>
#include <asm/socket.h>

#include "base/own_fd.h"
#include "base/text.h"
#include "calls/changes.h"
#include "calls/dispatch.h"
#include "calls/sockets.h"
#include "calls/wait.h"
#include "process/errand.h"
#include "process/thread.h"

enum { FAMILY_UNIX = 1, SOCK_DGRAM = 2, LEVEL_SOCKET = 1 };
#define MOMENT_NS 1000000

/* A call with an address that is a path. */
struct reach {
    struct change change; /* its arguments: AT_FDCWD, the path, the socket */
    const void *address;
    u64 size;
    struct message message; /* to be sent */
    u32 flags;
    bool blocks; /* the program wants to wait */
    bool tried;  /* the host was asked */
    char path[sizeof(((struct local_address *)0)->path) + 1];
};

bool local_is_judged(u64 address, u64 size) {
    const u16 *family = (const u16 *)address;
    return address && address != WILD_POINTER && size >= sizeof *family && *family == FAMILY_UNIX &&
           paths_are_judged();
}

static int option(int fd, int name) {
    s32 value = 0;
    u32 size = sizeof value;
    return host(__NR_getsockopt, fd, LEVEL_SOCKET, name, &value, &size) ? -1 : value;
}

/* Whether the kernel would look for the path at all. */
static bool is_used(const struct reach *reach, int fd) {
    return option(fd, SO_DOMAIN) == FAMILY_UNIX &&
           (reach->change.nr == __NR_connect || option(fd, SO_TYPE) == SOCK_DGRAM);
}

/* Connecting has no flag of its own for not waiting: for a moment the socket has it. */
static long connect_at_once(struct reach *reach, int fd, const void *address, u64 size) {
    long flags = host(__NR_fcntl, fd, F_GETFL), result;
    reach->blocks = flags >= 0 && !(flags & O_NONBLOCK) && option(fd, SO_TYPE) != SOCK_DGRAM;
    if (reach->blocks)
        host(__NR_fcntl, fd, F_SETFL, flags | O_NONBLOCK);
    result = host(__NR_connect, fd, address, size);
    if (reach->blocks)
        host(__NR_fcntl, fd, F_SETFL, flags);
    return result;
}

static long send_at_once(struct reach *reach, int fd, const void *address, u64 size) {
    long flags = host(__NR_fcntl, fd, F_GETFL);
    reach->blocks = flags >= 0 && !(flags & O_NONBLOCK) && !(reach->flags & MSG_DONTWAIT_FLAG);
    reach->message.name = (u64)address;
    reach->message.name_size = (s32)size;
    return host(__NR_sendmsg, fd, &reach->message, reach->flags | MSG_DONTWAIT_FLAG);
}

static long run(void *argument) {
    struct reach *reach = argument;
    struct change *change = &reach->change;
    struct local_address held = {.family = FAMILY_UNIX};
    char real[PATH_MAX];
    const void *address = reach->address;
    u64 size = reach->size;
    int fd = (int)change->value[2];
    if (is_used(reach, fd)) {
        long found = change_open(change, AT_FDCWD, reach->path, 0);
        long result = found < 0 ? found : real_path((int)found, real);
        if (result < 0)
            return result;
        if (real[0] != '/' || change_refuses(change, judge_path(real, KW_POLICY_WRITE), real))
            return -EACCES;
        size = offsetof(struct local_address, path) + 1 +
               (u64)format(held.path, sizeof held.path, "thread-self/fd/%d", (int)found);
        address = &held;
        result = host(__NR_fchdir, own_fd(OWN_PROC));
        if (result < 0)
            return result;
    }
    reach->tried = true;
    return change->nr == __NR_connect ? connect_at_once(reach, fd, address, size)
                                      : send_at_once(reach, fd, address, size);
}

/* When a call that waits gives up (SO_SNDTIMEO). */
static u64 give_up_at(struct thread *thread, int fd) {
    struct __kernel_old_timeval value = {0, 0};
    u32 size = sizeof value;
    if (host(__NR_getsockopt, fd, LEVEL_SOCKET, SO_SNDTIMEO_OLD, &value, &size) ||
        (!value.tv_sec && !value.tv_usec))
        return NO_DEADLINE;
    return deadline_start(thread, (u64)value.tv_sec * NANOSECONDS + (u64)value.tv_usec * 1000);
}

/* 0, or the end of the call. */
static long wait_moment(struct thread *thread, u64 end) {
    const struct __kernel_timespec moment = {0, MOMENT_NS};
    const u64 arg[6] = {CLOCK_MONOTONIC, 0, (u64)&moment, 0};
    if (end != NO_DEADLINE && (u64)clock_ns(CLOCK_MONOTONIC) >= end)
        return -EAGAIN;
    return interrupted(thread, RESTART_SYS, host_interruptible(thread, __NR_clock_nanosleep, arg));
}

static long make_call(struct call *call, struct reach *reach, int fd) {
    u64 end = 0;
    for (;;) {
        reach->tried = reach->blocks = false;
        reach->change.verdict = (struct kw_policy_verdict){0};
        long result = errand_run(run, reach, true);
        if (result != -EAGAIN || !reach->tried || !reach->blocks)
            return change_finish(call, &reach->change, result);
        end = end ? end : give_up_at(call->thread, fd);
        result = wait_moment(call->thread, end);
        if (result)
            return result;
    }
}

/* NULL: no memory. What is no path in the end has an empty one. */
static struct reach *new_reach(struct call *call, long nr, int fd, const void *address, u64 size) {
    struct local_address copy = {0};
    struct reach *reach = scratch_take(call->thread, sizeof *reach);
    if (!reach)
        return NULL;
    *reach = (struct reach){
        .change = {.thread = call->thread, .path = {1}}, .address = address, .size = size};
    memcpy(&copy, address, size <= sizeof copy ? size : 0);
    memcpy(reach->path, copy.path, sizeof copy.path);
    change_set(&reach->change, nr, 3, (u64[]){(u64)AT_FDCWD, (u64)reach->path, (u64)fd});
    return reach;
}

long judged_connect(struct call *call, int fd, const void *address, u64 size) {
    struct reach *reach = new_reach(call, __NR_connect, fd, address, size);
    if (!reach)
        return -ENOMEM;
    if (!*reach->path) {
        const u64 arg[6] = {(u64)fd, (u64)address, size};
        return interrupted(call->thread, RESTART_SYS,
                           host_interruptible(call->thread, __NR_connect, arg));
    }
    return paths_are_unknown() ? -EACCES : make_call(call, reach, fd);
}

long judged_send(struct call *call, int fd, const struct message *message, u32 flags) {
    struct reach *reach =
        new_reach(call, __NR_sendmsg, fd, (const void *)message->name, (u32)message->name_size);
    if (!reach)
        return -ENOMEM;
    reach->message = *message;
    reach->flags = flags;
    if (!*reach->path) {
        const u64 arg[6] = {(u64)fd, (u64)&reach->message, flags};
        return interrupted(call->thread, RESTART_SYS,
                           host_interruptible(call->thread, __NR_sendmsg, arg));
    }
    return paths_are_unknown() ? -EACCES : make_call(call, reach, fd);
}
