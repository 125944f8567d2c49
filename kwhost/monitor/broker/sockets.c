/* Addresses: copied, judged, and used by the worker on the caller's own socket. A socket of the
 * file system is held and reached through what is held. */
#include <linux/fcntl.h>
#include <linux/socket.h>
#include <linux/time_types.h>
#include <asm/socket.h>

#include "base/text.h"
#include "broker/perform.h"
#include "calls/internet.h"
#include "jail/kernel.h"
#include "policy/learn.h"

_Static_assert(sizeof((struct address *)0)->bytes == sizeof(struct __kernel_sockaddr_storage), "");

int socket_option(int socket, int name) {
    s32 value = 0;
    u32 size = sizeof value;
    return host(__NR_getsockopt, socket, SOL_SOCKET, name, &value, &size) ? -1 : value;
}

/* With a time-out set the kernel gives EINTR whatever the handler's flags are. */
long socket_result(int socket, long result) {
    struct __kernel_old_timeval value = {0, 0};
    u32 size = sizeof value;
    if (result != -EINTR)
        return result;
    host(__NR_getsockopt, socket, SOL_SOCKET, SO_SNDTIMEO_OLD, &value, &size);
    return value.tv_sec || value.tv_usec ? -BROKER_INTERRUPTED : -BROKER_RESTARTS;
}

long address_read(const struct caller *caller, u64 from, u32 size, struct address *address) {
    memset(address, 0, sizeof *address);
    address->held = -1;
    address->size = size;
    return size > sizeof address->bytes ? -EINVAL : caller_read(caller, from, address->bytes, size);
}

void address_close(struct address *address) {
    if (address->held >= 0)
        host(__NR_close, address->held);
    address->held = -1;
}

static long permit_internet(const struct caller *caller, int socket,
                            enum kw_policy_direction direction, struct policy_address *to) {
    char text[INTERNET_TEXT];
    to->protocol = internet_protocol(socket);
    struct kw_policy_verdict verdict = judge_network(direction, to);
    if (learning() && verdict.action <= KW_POLICY_LOG)
        learn_address(caller->request->nr, direction, to);
    internet_describe(to, text);
    return permit_caller(caller, verdict, text);
}

/* Whether the address is a path; then `path` is that. */
static bool is_local(const struct address *address, char path[sizeof address->path + 1]) {
    u32 length = address->size > sizeof address->family ? address->size - sizeof(u16) : 0;
    memset(path, 0, sizeof address->path + 1);
    memcpy(path, address->path, min_u64(length, sizeof address->path));
    return address->family == AF_UNIX && length <= sizeof address->path && path[0];
}

/* A caller may have gone to a root of its own, where rules are not about paths. */
static long take_root(const struct caller *caller) {
    struct statx theirs, ours;
    long root = caller_link(caller, "root");
    if (root < 0)
        return root;
    long result = host_stat((int)root, "", AT_EMPTY_PATH, &theirs);
    if (!result)
        result = host_stat(AT_FDCWD, "/", 0, &ours);
    bool same = theirs.stx_ino == ours.stx_ino && theirs.stx_dev_major == ours.stx_dev_major &&
                theirs.stx_dev_minor == ours.stx_dev_minor;
    host(__NR_close, root);
    return result ? result : same ? 0 : -EACCES;
}

static long hold_local(const struct caller *caller, const char *path, struct address *address) {
    static struct target target;
    char name[HELD_SIZE];
    long result = take_root(caller);
    if (!result)
        result = path_find(caller, AT_FDCWD, path, END_FOLLOWED, &target);
    if (result)
        return result;
    address->held = target.object;
    target.object = -1;
    path_close(&target);
    if (address->held < 0)
        return -ENOENT;
    path_held(address->held, name);
    memset(address->path, 0, sizeof address->path);
    memcpy(address->path, name, strlen(name));
    address->size = sizeof address->family + (u32)strlen(name) + 1;
    return permit_object(caller, address->held, KW_POLICY_WRITE);
}

long address_judge(const struct caller *caller, int socket, struct address *address) {
    struct policy_address to;
    char path[sizeof address->path + 1];
    bool connects = caller->request->nr == __NR_connect;
    if (address->size < sizeof address->family)
        return 0;
    if (is_local(address, path)) {
        bool used = socket_option(socket, SO_DOMAIN) == AF_UNIX &&
                    (connects || socket_option(socket, SO_TYPE) == SOCK_DGRAM);
        return used ? hold_local(caller, path, address) : 0;
    }
    /* Without a family it ends a connection. */
    if ((connects && !address->family) || !internet_read(address->bytes, address->size, &to))
        return 0;
    return permit_internet(caller, socket, KW_POLICY_TO, &to);
}

static long connect(const struct caller *caller, int socket) {
    static struct address address;
    const u64 *arg = caller->request->arg;
    long result = address_read(caller, arg[1], (u32)arg[2], &address);
    if (!result)
        result = address_judge(caller, socket, &address);
    if (!result)
        result = host(__NR_connect, socket, address.bytes, address.size);
    address_close(&address);
    return socket_result(socket, result);
}

/* Makes the name in the directory that was judged: it is the working directory meanwhile. */
static long bind_local(const struct caller *caller, int socket, const char *path) {
    static struct target target;
    static char real[PATH_MAX];
    struct address address = {.family = AF_UNIX};
    long result = take_root(caller), own = -1;
    if (!result)
        result = path_find(caller, AT_FDCWD, path, END_NAME, &target);
    if (result)
        return result;
    result = target.directory < 0 ? -ENOENT : path_real_name(&target, real);
    if (!result)
        result = permit_caller(caller, judge_path(real, KW_POLICY_WRITE), real);
    if (!result)
        result = own = host(__NR_openat, AT_FDCWD, ".", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (result >= 0)
        result = host(__NR_fchdir, target.directory);
    if (result >= 0) {
        u64 size = strlen(target.name);
        memcpy(address.path, target.name, size);
        result = host(__NR_bind, socket, address.bytes, sizeof(u16) + size + 1);
        host(__NR_fchdir, own);
    }
    if (own >= 0)
        host(__NR_close, own);
    path_close(&target);
    return result;
}

/* "." and "..", which are there where what is before them is: never as a path of this process's,
 * whose working directory is not the caller's. */
static long bind_special(const struct caller *caller, const char *path) {
    static struct target target;
    long result = take_root(caller);
    if (!result)
        result = path_find(caller, AT_FDCWD, path, END_FOLLOWED, &target);
    if (result)
        return result;
    path_close(&target);
    return -EADDRINUSE;
}

/* A port that the kernel is to choose is nothing that one could be reached at, yet. */
static long bind(const struct caller *caller, int socket) {
    struct address address;
    struct policy_address to;
    char path[sizeof address.path + 1];
    const u64 *arg = caller->request->arg;
    long result = address_read(caller, arg[1], (u32)arg[2], &address);
    if (result)
        return result;
    if (is_local(&address, path) && socket_option(socket, SO_DOMAIN) == AF_UNIX)
        return path_is_special(path) ? bind_special(caller, path)
                                     : bind_local(caller, socket, path);
    if (internet_read(address.bytes, address.size, &to) && to.port)
        result = permit_internet(caller, socket, KW_POLICY_LISTEN, &to);
    return result ? result : host(__NR_bind, socket, address.bytes, address.size);
}

static long listen(const struct caller *caller, int socket) {
    struct address address;
    struct policy_address to;
    long result = 0;
    address.size = sizeof address.bytes;
    if (!host(__NR_getsockname, socket, address.bytes, &address.size) &&
        internet_read(address.bytes, address.size, &to))
        result = permit_internet(caller, socket, KW_POLICY_LISTEN, &to);
    return result ? result : host(__NR_listen, socket, caller->request->arg[1]);
}

long perform_socket(const struct caller *caller) {
    long fd = caller_descriptor(caller, (int)caller->request->arg[0]), result;
    if (fd < 0)
        return fd;
    if (socket_option((int)fd, SO_TYPE) < 0)
        result = -ENOTSOCK;
    else if (caller->request->nr == __NR_connect)
        result = connect(caller, (int)fd);
    else if (caller->request->nr == __NR_bind)
        result = bind(caller, (int)fd);
    else
        result = listen(caller, (int)fd);
    host(__NR_close, fd);
    return result;
}
