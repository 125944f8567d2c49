/* Calls of the program's that the monitor makes other host calls for: lists for rows of
 * jail/filter.def (parsed by tools/jail_docs.py). NR_ are the program's calls. */
#ifndef KW_JAIL_NEEDS_H
#define KW_JAIL_NEEDS_H

enum {
#define CALL(number, name, class, handler, restart, arguments, note) NR_##name = number,
#define REFUSE(number, name, error, arguments, note) NR_##name = number,
#include "calls/table.def"
#undef CALL
#undef REFUSE
};

#define CLONES NR_clone, NR_clone3, NR_fork, NR_vfork
#define EXECS NR_execve, NR_execveat
#define OPENS NR_open, NR_openat, NR_openat2, NR_creat
/* Paths, which may lead into /proc. */
#define PATHS                                                                                      \
    NR_open, NR_stat, NR_lstat, NR_access, NR_truncate, NR_chdir, NR_rename, NR_mkdir, NR_rmdir,   \
        NR_creat, NR_link, NR_unlink, NR_symlink, NR_readlink, NR_chmod, NR_chown, NR_lchown,      \
        NR_utime, NR_mknod, NR_statfs, NR_chroot, NR_setxattr, NR_lsetxattr, NR_getxattr,          \
        NR_lgetxattr, NR_listxattr, NR_llistxattr, NR_removexattr, NR_lremovexattr, NR_utimes,     \
        NR_inotify_add_watch, NR_openat, NR_mkdirat, NR_mknodat, NR_fchownat, NR_futimesat,        \
        NR_newfstatat, NR_unlinkat, NR_renameat, NR_linkat, NR_symlinkat, NR_readlinkat,           \
        NR_fchmodat, NR_faccessat, NR_utimensat, NR_renameat2, NR_statx, NR_openat2,               \
        NR_faccessat2, NR_fchmodat2, NR_execve, NR_execveat
/* What may be judged by the path of what it changes. */
#define CHANGES                                                                                    \
    NR_mkdir, NR_mkdirat, NR_mknod, NR_mknodat, NR_rmdir, NR_unlink, NR_unlinkat, NR_symlink,      \
        NR_symlinkat, NR_link, NR_linkat, NR_rename, NR_renameat, NR_renameat2, NR_truncate,       \
        NR_chmod, NR_fchmod, NR_fchmodat, NR_fchmodat2, NR_chown, NR_fchown, NR_lchown,            \
        NR_fchownat, NR_utime, NR_utimes, NR_futimesat, NR_utimensat, NR_setxattr, NR_lsetxattr,   \
        NR_fsetxattr, NR_getxattr, NR_lgetxattr, NR_listxattr, NR_llistxattr, NR_removexattr,      \
        NR_lremovexattr, NR_fremovexattr, NR_inotify_add_watch, NR_bind
#define RENAMES NR_rename, NR_renameat, NR_renameat2
/* What may be judged by the path of the socket that it reaches. */
#define REACHES NR_connect, NR_sendto, NR_sendmsg, NR_sendmmsg
/* Where sockets come from. */
#define SOCKETS NR_socket, NR_socketpair, NR_accept, NR_accept4, NR_recvmsg, NR_recvmmsg
#define SIGNALS                                                                                    \
    NR_kill, NR_tkill, NR_tgkill, NR_rt_sigqueueinfo, NR_rt_tgsigqueueinfo, NR_pidfd_send_signal
#define IDENTITIES                                                                                 \
    NR_setuid, NR_setgid, NR_setreuid, NR_setregid, NR_setresuid, NR_setresgid, NR_setfsuid,       \
        NR_setfsgid, NR_capset

#endif
