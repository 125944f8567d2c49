/* ioctl: an allow-list of requests. What is not in it does not exist for the guest. */
#include <linux/limits.h>

#include "base/text.h"
#include "calls/call.h"
#include "calls/dispatch.h"
#include "calls/handlers.h"
#include "calls/judged.h"
#include "calls/requests.h"
#include "calls/stats.h"
#include "process/thread.h"

/* What the argument is. POINTER: a structure of fixed size without pointers or descriptors in it.
 */
enum ioctl_argument { IOCTL_NONE, IOCTL_VALUE, IOCTL_POINTER, IOCTL_FD, IOCTL_RANGE, IOCTL_CONF };

/* The kernel's struct ifconf; its header needs a C library's. */
struct interface_list {
    s32 size;
    s32 padding;
    u64 buffer;
};

#define IOCTL(name, kind) {name, IOCTL_##kind},
static const struct {
    u32 request;
    u32 argument;
} allowed[] = {
#include "calls/ioctls.def"
};
#undef IOCTL

/* Requests that exist for the guest but are not for it. */
static bool is_forbidden(u32 request) {
    return request == TIOCSTI || request == TIOCLINUX || request == TIOCCONS ||
           request == TIOCSETD || request == TIOCVHANGUP;
}

/* Changes the file's attributes, for which a descriptor need not be open for writing. */
static bool changes_file(u32 request) {
    return request == FS_IOC_SETFLAGS || request == FS_IOC_FSSETXATTR;
}

/* The interface list goes to a buffer that the structure points to. */
static long interface_list(struct call *call, struct host_args *args) {
    struct interface_list list;
    gva_t address = call->arg[2];
    long result;

    if (get_guest(list, address))
        return -EFAULT;
    list.buffer = host_pointer(list.buffer);
    args->value[2] = (u64)&list;
    result = make_host_call(call, &call_table[__NR_ioctl], args);
    if (result == 0 && put_guest(list.size, address))
        return -EFAULT;
    return result;
}

static long clone_range(struct call *call, struct host_args *args) {
    struct file_clone_range range;

    if (get_guest(range, call->arg[2]))
        return -EFAULT;
    if (!guest_fd_ok((u64)range.src_fd))
        return -EBADF;
    args->value[2] = (u64)&range;
    return make_host_call(call, &call_table[__NR_ioctl], args);
}

static long refuse(struct call *call, u32 request) {
    /* A descriptor that is none goes first. */
    long result = host(__NR_fcntl, (s32)call->arg[0], 1 /* F_GETFD */);
    if (result < 0)
        return result;
    stats_refused(call->nr);
    return is_forbidden(request) ? -EPERM : -ENOTTY;
}

long sys_ioctl(struct call *call) {
    u32 i, request = (u32)call->arg[1];
    struct host_args args = {{(u64)(s64)(s32)call->arg[0], request, call->arg[2]}};

    if (!guest_fd_ok(call->arg[0]))
        return -EBADF;
    for (i = 0; i < array_size(allowed); i++)
        if (allowed[i].request == request)
            break;
    if (i == array_size(allowed))
        return refuse(call, request);
    switch (allowed[i].argument) {
    case IOCTL_NONE:
        args.value[2] = 0;
        break;
    case IOCTL_VALUE:
        /* Taking a terminal from another session is not for an instance. */
        if (request == TIOCSCTTY && args.value[2] == 1)
            args.value[2] = 0;
        break;
    case IOCTL_POINTER:
        args.value[2] = host_pointer(args.value[2]);
        if (changes_file(request) && paths_are_judged())
            return judged_change(call, &args);
        break;
    case IOCTL_FD:
        if (!guest_fd_ok(args.value[2]))
            return -EBADF;
        break;
    case IOCTL_RANGE:
        return clone_range(call, &args);
    case IOCTL_CONF:
        return interface_list(call, &args);
    default:
        return -ENOTTY;
    }
    return make_host_call(call, &call_table[__NR_ioctl], &args);
}
