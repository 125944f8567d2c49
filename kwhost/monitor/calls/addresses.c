#include "calls/addresses.h"

#include <linux/socket.h>

#include "base/own_fd.h"
#include "base/text.h"
#include "calls/dispatch.h"
#include "calls/handlers.h"
#include "calls/internet.h"
#include "calls/judged.h"
#include "policy/learn.h"
#include "process/permit.h"
#include "calls/sockets.h"
#include "process/thread.h"

struct borrowed borrow(struct thread *thread, s32 fd) {
    struct process *process = thread->process;
    if (__atomic_load_n(&process->thread_count, __ATOMIC_RELAXED) == 1)
        return (struct borrowed){fd, false};
    lock_take(&process->limits_lock);
    struct borrowed borrowed = {own_fd_borrow(fd), true};
    lock_release(&process->limits_lock);
    return borrowed;
}

void give_back(struct borrowed borrowed) {
    if (borrowed.own && borrowed.fd >= 0)
        host(__NR_close, borrowed.fd);
}

static long permit_address(struct call *call, int fd, enum kw_policy_direction direction,
                           struct policy_address *address) {
    char text[INTERNET_TEXT];
    address->protocol = internet_protocol(fd);
    struct kw_policy_verdict verdict = judge_network(direction, address);
    if (learning() && verdict.action <= KW_POLICY_LOG)
        learn_address(call->nr, direction, address);
    if (verdict.action == KW_POLICY_ALLOW)
        return 0;
    internet_describe(address, text);
    return permit(call->thread, verdict, text);
}

long permit_destination(struct call *call, int fd, u64 name, u64 size) {
    struct policy_address address;
    if (!name || name == WILD_POINTER || !internet_read((const void *)name, size, &address))
        return 0;
    return permit_address(call, fd, KW_POLICY_TO, &address);
}

/* A port that the kernel is to choose is nothing that one could be reached at, yet. */
static long permit_bind(struct call *call, int fd, u64 name, u64 size) {
    struct policy_address address;
    if (!name || name == WILD_POINTER || !internet_read((const void *)name, size, &address) ||
        !address.port)
        return 0;
    return permit_address(call, fd, KW_POLICY_LISTEN, &address);
}

static long permit_listen(struct call *call, int fd) {
    struct __kernel_sockaddr_storage name;
    struct policy_address address;
    u32 size = sizeof name;
    if (host(__NR_getsockname, fd, &name, &size) || !internet_read(&name, size, &address))
        return 0;
    return permit_address(call, fd, KW_POLICY_LISTEN, &address);
}

static long permit_socket_call(struct call *call, int fd, const u64 value[6]) {
    const u16 *family = (const u16 *)value[1];
    switch (call->nr) {
    case __NR_connect:
        /* Without a family it ends a connection. */
        if (value[1] && value[1] != WILD_POINTER && (u32)value[2] >= 2 && !*family)
            return 0;
        return permit_destination(call, fd, value[1], (u32)value[2]);
    case __NR_bind:
        return permit_bind(call, fd, value[1], (u32)value[2]);
    case __NR_listen:
        return permit_listen(call, fd);
    default:
        return permit_destination(call, fd, value[4], (u32)value[5]);
    }
}

/* A call with an address that is a path: bind makes that name, the others look for a socket there.
 */
static long make_local_call(struct call *call, const u64 value[6]) {
    int fd = (s32)value[0];
    if (call->nr == __NR_bind)
        return judged_bind(call, fd, (const void *)value[1], (u32)value[2]);
    if (call->nr == __NR_connect)
        return judged_connect(call, fd, (const void *)value[1], (u32)value[2]);
    const u64 part[2] = {value[1], value[2]};
    const struct message message = {
        .name = value[4], .name_size = (s32)value[5], .vector = (u64)part, .vector_count = 1};
    return judged_send(call, fd, &message, (u32)value[3]);
}

static bool is_local(const struct call *call, const u64 value[6]) {
    if (call->nr == __NR_listen)
        return false;
    u32 at = call->nr == __NR_sendto ? 4 : 1;
    return local_is_judged(value[at], (u32)value[at + 1]);
}

long address_forward(struct call *call) {
    const struct call_entry *entry = &call_table[call->nr];
    struct host_args args;

    if (likely(!policy_looks_for(KW_POLICY_LOOKS_NETWORK | KW_POLICY_LOOKS_PATH)))
        return socket_forward(call);
    long result = translate_args(call, entry, &args);
    if (result)
        return result;
    if (is_local(call, args.value))
        return socket_restart(call, make_local_call(call, args.value));
    if (!policy_looks_for(KW_POLICY_LOOKS_NETWORK))
        return socket_restart(call, make_host_call(call, entry, &args));
    struct borrowed socket = borrow(call->thread, (s32)args.value[0]);
    if (socket.fd < 0)
        return socket.fd == -EMFILE ? -ENOBUFS : -EBADF;
    result = permit_socket_call(call, socket.fd, args.value);
    args.value[0] = (u64)socket.fd;
    if (!result)
        result = make_host_call(call, entry, &args);
    give_back(socket);
    return socket_restart(call, result);
}
