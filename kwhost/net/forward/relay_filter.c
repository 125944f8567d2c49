/* The system calls of a running relay. Any other one ends it. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "relay.h"

#define WORD(member) (offsetof(struct seccomp_data, member))
#define LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, WORD(member))
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define KILL BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)
#define SKIP_UNLESS(value, count) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (count))
#define PERMIT(call) SKIP_UNLESS(SYS_##call, 1), ALLOW

int relay_filter(void) {
    struct sock_filter code[] = {
        LOAD(arch),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
        KILL,
        LOAD(nr), /* those of x32 have other numbers, and are none of these */
        PERMIT(epoll_wait),
        PERMIT(epoll_ctl),
        PERMIT(splice), /* the streams; pipes in between */
        PERMIT(pipe2),
        PERMIT(close),
        PERMIT(recvmsg), /* the channels */
        PERMIT(sendmsg),
        PERMIT(recvfrom), /* datagrams */
        PERMIT(sendto),
        PERMIT(connect),
        PERMIT(shutdown),
        PERMIT(getsockopt),
        PERMIT(setsockopt),
        PERMIT(clock_gettime), /* where the vDSO cannot answer */
        PERMIT(exit_group),
        PERMIT(restart_syscall), /* epoll_wait after a stop and SIGCONT */
        SKIP_UNLESS(SYS_socket, 4),
        LOAD(args[0]),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 1, 0),
        SKIP_UNLESS(AF_INET6, 1),
        ALLOW,
        KILL,
    };
    struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0)
        return -errno;
    return 0;
}
