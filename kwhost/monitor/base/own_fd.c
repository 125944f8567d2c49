/* The monitor's own descriptors: where they begin and how they get there . */
#include <linux/fcntl.h>
#include <linux/resource.h>

#include "base/host.h"
#include "base/own_fd.h"

#define HOST_TABLE_MAX 1048576u /* fs.nr_open as Linux has it: no descriptor can be above */

const char own_path[1] = "";

static u32 base_number; /* the same for every monitor of an instance; 0: not asked yet */

u32 own_fd_base(void) {
    u32 base = __atomic_load_n(&base_number, __ATOMIC_RELAXED);
    if (likely(base))
        return base;
    struct rlimit64 limit = {0, 0};
    host(__NR_prlimit64, 0, RLIMIT_NOFILE, 0, &limit);
    u64 hard = min_u64(limit.rlim_max, HOST_TABLE_MAX);
    base = hard > OWN_FD_COUNT ? (u32)hard - OWN_FD_COUNT : 1;
    __atomic_store_n(&base_number, base, __ATOMIC_RELAXED);
    return base;
}

void own_fd_base_renew(void) {
    __atomic_store_n(&base_number, 0, __ATOMIC_RELAXED);
}

void own_fd_limit_raise(struct own_fd_limit *saved) {
    struct rlimit64 limit = {0, 0};
    host(__NR_prlimit64, 0, RLIMIT_NOFILE, 0, &limit);
    saved->soft = limit.rlim_cur;
    saved->hard = limit.rlim_max;
    limit.rlim_cur = limit.rlim_max;
    if (saved->soft != saved->hard)
        host(__NR_prlimit64, 0, RLIMIT_NOFILE, &limit, 0);
}

void own_fd_limit_restore(const struct own_fd_limit *saved) {
    struct rlimit64 limit = {saved->soft, saved->hard};
    if (saved->soft != saved->hard)
        host(__NR_prlimit64, 0, RLIMIT_NOFILE, &limit, 0);
}

void own_file_limit_raise(struct own_file_limit *saved) {
    struct rlimit64 limit = {0, 0};
    host(__NR_prlimit64, 0, RLIMIT_FSIZE, 0, &limit);
    saved->soft = limit.rlim_cur;
    saved->hard = limit.rlim_max;
    limit.rlim_cur = limit.rlim_max;
    if (saved->soft != saved->hard)
        host(__NR_prlimit64, 0, RLIMIT_FSIZE, &limit, 0);
}

void own_file_limit_restore(const struct own_file_limit *saved) {
    struct rlimit64 limit = {saved->soft, saved->hard};
    if (saved->soft != saved->hard)
        host(__NR_prlimit64, 0, RLIMIT_FSIZE, &limit, 0);
}

int own_fd_place(int fd, enum own_fd slot) {
    int target = own_fd(slot);
    int flags = slot == OWN_SCRIPT ? O_CLOEXEC : 0;
    if (fd == target)
        return (int)host(__NR_fcntl, fd, F_SETFD, flags ? FD_CLOEXEC : 0);
    struct own_fd_limit saved;
    own_fd_limit_raise(&saved);
    long result = host(__NR_dup3, fd, target, flags);
    own_fd_limit_restore(&saved);
    return result < 0 ? (int)result : 0;
}

int own_fd_move(int fd) {
    struct own_fd_limit saved;
    own_fd_limit_raise(&saved);
    long moved = host(__NR_fcntl, fd, F_DUPFD_CLOEXEC, own_fd(OWN_FIRST_VARIABLE));
    own_fd_limit_restore(&saved);
    host(__NR_close, fd);
    return (int)moved;
}

int own_fd_borrow(int fd) {
    struct own_fd_limit saved;
    own_fd_limit_raise(&saved);
    long result = host(__NR_fcntl, fd, F_DUPFD_CLOEXEC, own_fd(OWN_FIRST_VARIABLE));
    own_fd_limit_restore(&saved);
    return result == -EINVAL ? -EMFILE : (int)result;
}

void own_fd_close_borrowed(void) {
    host(__NR_close_range, own_fd(OWN_FIRST_VARIABLE), ~0u, 0);
}
