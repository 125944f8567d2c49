/* Arguments of system calls: from the guest's raw registers to what may be passed to the host. */
#include <linux/limits.h>
#include <linux/socket.h>
#include <linux/uio.h>

#include "calls/call.h"
#include "calls/translate.h"
#include "process/thread.h"

#define RW_COUNT_MAX 0x7ffff000ul /* the kernel moves no more bytes than this in one call */

u64 host_buffer(gva_t address, u64 size) {
    if (!address)
        return 0;
    return window_range_ok(address, size) ? (u64)window_ptr(address) : WILD_POINTER;
}

/* Copies `count` iovecs and replaces each base with its host address. What is wrong with them is
 * left for the kernel to find: it has its own order of checks, after the descriptor's. */
long copy_iovec(struct thread *thread, gva_t from, u64 count, u64 *result) {
    struct iovec *vector;
    u64 i;

    *result = WILD_POINTER;
    if (count == 0 || count > UIO_MAXIOV)
        return 0; /* the kernel does not look at it: nothing, or EINVAL */
    vector = scratch_take(thread, count * sizeof(*vector));
    if (!vector)
        return -ENOMEM;
    if (copy_from_guest(vector, from, count * sizeof(*vector)))
        return 0;
    for (i = 0; i < count; i++) {
        u64 size = vector[i].iov_len;
        if ((s64)size > (s64)RW_COUNT_MAX)
            vector[i].iov_len = size = RW_COUNT_MAX;
        vector[i].iov_base = (void *)host_buffer((gva_t)vector[i].iov_base, size);
        /* An empty buffer may have any address. */
        if (!size)
            vector[i].iov_base = NULL;
    }
    *result = (u64)vector;
    return 0;
}

/* Copies a string into `to`, which must outlive the call. */
static long copy_path(char *to, gva_t from, u64 *result) {
    long length;

    if (!from) {
        *result = 0;
        return 0;
    }
    length = copy_string_from_guest(to, from, PATH_MAX);
    if (length < 0)
        return length;
    *result = (u64)to;
    return 0;
}

/* Copies a short string. Longer ones than 4,095 bytes are cut: every call that takes such a name
 * has a smaller limit of its own, and its own errno for it. */
static long copy_string(struct thread *thread, gva_t from, u64 *result) {
    char *to;
    long length;

    if (!from) {
        *result = 0;
        return 0;
    }
    to = scratch_take(thread, PATH_MAX);
    if (!to)
        return -ENOMEM;
    length = copy_string_from_guest(to, from, PATH_MAX);
    if (length == -ENAMETOOLONG)
        to[PATH_MAX - 1] = 0;
    else if (length < 0)
        return length;
    *result = (u64)to;
    return 0;
}

long copy_sockaddr(struct thread *thread, gva_t from, u64 length, u64 *result) {
    s32 size = (s32)length;
    void *to;

    if (!from) {
        *result = 0;
        return 0;
    }
    *result = WILD_POINTER;
    if (size <= 0 || size > (s32)sizeof(struct __kernel_sockaddr_storage))
        return 0; /* the kernel says EINVAL before it looks */
    to = scratch_take(thread, (u64)size);
    if (!to)
        return -ENOMEM;
    if (!copy_from_guest(to, from, (u64)size))
        *result = (u64)to;
    return 0;
}

/* The length that belongs to argument `arg`, as wide as the kernel takes it. */
static u64 length_of(const struct call *call, const struct arg *arg) {
    u64 length = call->arg[arg->extra & 7];
    return arg->extra & ARG_LENGTH_32 ? (u32)length : length;
}

/* Translates one argument. `paths` counts the path buffers in use. */
static long translate_arg(struct call *call, const struct arg *arg, u64 value, u32 *paths,
                          u64 *result) {
    struct thread *thread = call->thread;

    *result = value;
    switch ((enum arg_kind)arg->kind) {
    case ARG_FD:
    case ARG_DIRFD:
        *result = (u64)(s64)(s32)value;
        return guest_fd_ok(value) ? 0 : -EBADF;
    case ARG_PATH:
        if (*paths == array_size(thread->path))
            return -ENOSYS;
        return copy_path(thread->path[(*paths)++], value, result);
    case ARG_STRING:
        return copy_string(thread, value, result);
    case ARG_POINTER:
    case ARG_TIME:
    case ARG_SIGSET:
    case ARG_MSGHDR:
        *result = host_pointer(value);
        return 0;
    case ARG_IN:
    case ARG_OUT:
        *result = host_buffer(value, length_of(call, arg));
        return 0;
    case ARG_IOVEC:
        return copy_iovec(thread, value, (u32)length_of(call, arg), result); /* as the kernel */
    case ARG_SOCKADDR:
        return copy_sockaddr(thread, value, length_of(call, arg), result);
    case ARG_NONE:
    case ARG_INT:
    case ARG_SIGNAL:
    case ARG_FLAGS:
    case ARG_MODE:
    case ARG_PID:
        return 0;
    case ARG_ADDRESS:
        /* Only rows with a handler of their own have these: the host must never see one. */
        *result = WILD_POINTER;
        return 0;
    }
    return -ENOSYS;
}

long translate_args(struct call *call, const struct call_entry *entry, struct host_args *host) {
    u32 i, paths = 0;

    for (i = 0; i < array_size(host->value); i++) {
        long failed = translate_arg(call, &entry->arg[i], call->arg[i], &paths, &host->value[i]);
        if (failed)
            return failed;
        /* Arguments the table does not know of are the guest's left-over registers. */
        if (entry->arg[i].kind == ARG_NONE)
            host->value[i] = 0;
    }
    /* The count that the vector was copied with. */
    for (i = 0; i < array_size(host->value); i++)
        if (entry->arg[i].kind == ARG_IOVEC)
            host->value[entry->arg[i].extra & 7] = (u32)length_of(call, &entry->arg[i]);
    return 0;
}
