/* The jail of the process that unpacks images; part of the cffi module. Every function answers a descriptor
 * or 0, or a negative errno. */

#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/mount.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define KW_MS_PRIVATE_REC (1ul << 18 | 1ul << 14)
#define KW_MNT_DETACH 2
#define KW_AT_EMPTY_PATH 0x1000
#define KW_ARRAY_SIZE(array) (sizeof(array) / sizeof *(array))

/* Receives a message from a socket, at most `size` bytes, and at most two descriptors with it (-1: none).
 * Answers its length, 0 where nobody is at the other end. */
static long kw_receive(int control, char *message, size_t size, int fds[2]) {
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(2 * sizeof(int))];
    } extra;
    struct iovec part = {.iov_base = message, .iov_len = size};
    struct msghdr whole = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &extra, .msg_controllen = sizeof extra};
    ssize_t length = recvmsg(control, &whole, MSG_CMSG_CLOEXEC);
    if (length < 0)
        return -errno;
    const struct cmsghdr *come = CMSG_FIRSTHDR(&whole);
    fds[0] = fds[1] = -1;
    if (come && come->cmsg_level == SOL_SOCKET && come->cmsg_type == SCM_RIGHTS &&
        come->cmsg_len <= CMSG_LEN(2 * sizeof(int)))
        memcpy(fds, CMSG_DATA(come), come->cmsg_len - CMSG_LEN(0));
    return whole.msg_flags & MSG_TRUNC ? -EMSGSIZE : length;
}

static int kw_own_user_namespace(void) {
    return unshare(CLONE_NEWUSER) < 0 ? -errno : 0;
}

/* A detached mount of a directory, whose owners are those of the user namespace; -1: as they are. */
static long kw_mount_of(int directory, int user_namespace) {
    long tree = syscall(__NR_open_tree, directory, "",
                        OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | KW_AT_EMPTY_PATH);
    if (tree < 0)
        return -errno;
    struct mount_attr attributes = {
        .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
                    (user_namespace >= 0 ? MOUNT_ATTR_IDMAP : 0),
        .userns_fd = user_namespace >= 0 ? (uint64_t)user_namespace : 0};
    if (syscall(__NR_mount_setattr, tree, "", KW_AT_EMPTY_PATH, &attributes, sizeof attributes) < 0) {
        int error = errno;
        close((int)tree);
        return -error;
    }
    return tree;
}

static int kw_own_mounts(void) {
    if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0 ||
        syscall(__NR_mount, "none", "/", NULL, KW_MS_PRIVATE_REC, NULL) < 0)
        return -errno;
    return 0;
}

/* Has the detached mount as the only directory that there is. */
static int kw_enter_mount(int tree) {
    if (syscall(__NR_move_mount, tree, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0 ||
        fchdir(tree) < 0 || syscall(__NR_pivot_root, ".", ".") < 0 ||
        syscall(__NR_umount2, ".", KW_MNT_DETACH) < 0 || chdir("/") < 0)
        return -errno;
    return 0;
}

/* Keeps what is needed for making files of any owner, and gives up every other capability for good. */
static int kw_keep_file_capabilities(void) {
    uint32_t kept = 1u << CAP_CHOWN | 1u << CAP_DAC_OVERRIDE | 1u << CAP_FOWNER | 1u << CAP_FSETID;
    for (int each = 0; each <= 63; each++)
        if (!(each < 32 && kept & 1u << each) && prctl(PR_CAPBSET_DROP, each, 0, 0, 0) < 0 &&
            errno != EINVAL)
            return -errno;
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{.effective = kept, .permitted = kept}};
    if (syscall(__NR_capset, &header, data) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return -errno;
    return 0;
}

/* What Python, zlib and zstd need for reading a stream and making files. */
static const uint16_t kw_unpacking_calls[] = {
    __NR_read,         __NR_write,          __NR_close,           __NR_fstat,
    __NR_newfstatat,   __NR_lseek,          __NR_mmap,            __NR_munmap,
    __NR_mremap,       __NR_mprotect,       __NR_brk,             __NR_madvise,
    __NR_poll,         __NR_rt_sigaction,   __NR_rt_sigprocmask,  __NR_rt_sigreturn,
    __NR_sigaltstack,  __NR_pread64,        __NR_pwrite64,        __NR_writev,
    __NR_ftruncate,    __NR_fsync,          __NR_getdents64,
    __NR_fchmod,       __NR_fchown,         __NR_fchownat,        __NR_fchmodat,
    __NR_mkdirat,      __NR_mknodat,        __NR_openat,          __NR_openat2,
    __NR_unlinkat,     __NR_renameat,       __NR_linkat,          __NR_symlinkat,
    __NR_readlinkat,   __NR_utimensat,      __NR_fsetxattr,       __NR_statx,
    __NR_futex,        __NR_getpid,         __NR_gettid,
    __NR_geteuid,      __NR_getuid,         __NR_getegid,         __NR_clock_gettime,
    __NR_clock_nanosleep,
    __NR_getrandom,    __NR_restart_syscall, __NR_exit,           __NR_exit_group,
    __NR_rseq,         __NR_set_robust_list, __NR_membarrier,     __NR_sched_yield,
};

#define KW_LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define KW_JUMP(test, value, yes, no) BPF_JUMP(BPF_JMP | (test) | BPF_K, value, yes, no)

/* Besides, signals to itself alone, and of fcntl nothing that makes the kernel send any: it may have the user's
 * own id on the host. */
static int kw_filter_unpacking(void) {
    enum { CALLS = KW_ARRAY_SIZE(kw_unpacking_calls), HEAD = 4, TAIL = 9 };
    struct sock_filter code[HEAD + CALLS + TAIL] = {
        KW_LOAD(arch),
        KW_JUMP(BPF_JEQ, AUDIT_ARCH_X86_64, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        KW_LOAD(nr),
    };
    for (unsigned i = 0; i < CALLS; i++)
        code[HEAD + i] =
            (struct sock_filter)KW_JUMP(BPF_JEQ, kw_unpacking_calls[i], CALLS - i + TAIL - 2, 0);
    const struct sock_filter tail[TAIL] = {
        KW_JUMP(BPF_JEQ, __NR_tgkill, 0, 2),
        KW_LOAD(args[0]),
        KW_JUMP(BPF_JEQ, (uint32_t)getpid(), 5, 4),
        KW_JUMP(BPF_JEQ, __NR_fcntl, 0, 3),
        KW_LOAD(args[1]),
        KW_JUMP(BPF_JEQ, F_DUPFD_CLOEXEC, 2, 0),
        KW_JUMP(BPF_JGT, F_SETFL, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    for (unsigned i = 0; i < TAIL; i++)
        code[HEAD + CALLS + i] = tail[i];
    struct sock_fprog program = {.len = KW_ARRAY_SIZE(code), .filter = code};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0 ? -errno : 0;
}

/* Whoever started this process is to be outlived by it in no case. */
static int kw_end_with_parent(void) {
    return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 ? -errno : 0;
}

static int kw_sync_file_system(int fd) {
    return syncfs(fd) < 0 ? -errno : 0;
}
