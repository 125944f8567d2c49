/* Sending signals. SIGKILL for one other process of the instance first asks its monitor, which lets
 * go of robust futexes as the kernel would; the real one follows when that takes too long. */
#include <linux/signal.h>
#include <asm/siginfo.h>
#include <linux/poll.h>
#include <linux/time_types.h>

#include "base/text.h"
#include "calls/handlers.h"
#include "process/signal.h"

#define KILL_GRACE_NS 100000000

static siginfo_t kill_request(void) {
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_signo = SIGNAL_KICK;
    info.si_code = KICK_CODE;
    info.si_int = KICK_KILL;
    return info;
}

/* Gives the process behind a pidfd the time to end by itself. Returns once it has, or the time is
 * up. */
static void await_end(int pidfd) {
    struct pollfd wait = {.fd = pidfd, .events = POLLIN};
    struct __kernel_timespec grace = {0, KILL_GRACE_NS};
    while (host(__NR_ppoll, &wait, 1, &grace, 0, 0) == -EINTR)
        ;
}

/* SIGKILL for the one process `pid` by way of its monitor. True when all is done; false when the
 * plain signal is what is left to do (groups, single threads, no permission, no such process). */
static bool end_process(struct thread *thread, int pid) {
    if (pid == thread->process->pid)
        process_die(thread, SIGKILL); /* the first process too, which the kernel would spare */
    if (pid <= 0)
        return false;
    /* It has a low number for a moment; other threads may see a pidfd there, no more. */
    long pidfd = host(__NR_pidfd_open, pid, 0);
    if (pidfd < 0)
        return false;
    siginfo_t info = kill_request();
    bool asked = host(__NR_pidfd_send_signal, pidfd, SIGNAL_KICK, &info, 0) == 0;
    if (asked) {
        await_end((int)pidfd);
        /* By descriptor: the number may be another process's by now. */
        host(__NR_pidfd_send_signal, pidfd, SIGKILL, 0, 0);
    }
    host(__NR_close, pidfd);
    return asked;
}

long sys_kill(struct call *call) {
    int pid = (int)call->arg[0], signal = (int)call->arg[1];
    if (signal == SIGKILL && end_process(call->thread, pid))
        return 0;
    return host(__NR_kill, pid, signal);
}

long sys_tkill(struct call *call) {
    int tid = (int)call->arg[0], signal = (int)call->arg[1];
    if (signal == SIGKILL && end_process(call->thread, tid))
        return 0;
    return host(__NR_tkill, tid, signal);
}

/* SIGKILL for one thread ends its process: when it is that process's thread at all. */
static bool end_process_of(struct thread *thread, int pid, int tid) {
    return host(__NR_tgkill, pid, tid, 0) == 0 && end_process(thread, pid);
}

long sys_tgkill(struct call *call) {
    int pid = (int)call->arg[0], tid = (int)call->arg[1], signal = (int)call->arg[2];
    if (signal == SIGKILL && end_process_of(call->thread, pid, tid))
        return 0;
    return host(__NR_tgkill, pid, tid, signal);
}

/* Copies a siginfo that a program wants to send. Returns 0 or -EFAULT. */
static long copy_info(siginfo_t *info, gva_t address, int signal) {
    if (copy_from_guest(info, address, sizeof *info))
        return -EFAULT;
    info->si_signo = signal;
    return 0;
}

/* Where the host's handler would take the forgery for a fault of the monitor or a kick. */
static bool looks_real(const siginfo_t *info) {
    if (info->si_signo == SIGNAL_KICK)
        return info->si_code == KICK_CODE;
    return (info->si_signo == SIGSEGV || info->si_signo == SIGBUS) && info->si_code > 0;
}

/* The kernel lets a program send a siginfo of any kind to itself (crash reporters pass a fault on
 * like that). One that looks real stays here when it is for this thread (`tid`; 0: for the
 * process), which makes the result true; else it loses its code. */
static bool send_to_self(struct thread *thread, int pid, int tid, siginfo_t *info) {
    if (!looks_real(info))
        return false;
    bool own = pid == thread->process->pid || pid == thread->kernel_tid;
    if (own && (!tid || tid == thread->kernel_tid)) {
        signal_keep(thread, info);
        return true;
    }
    if (own || info->si_code < 0)
        info->si_code = SI_QUEUE; /* otherwise the kernel refuses it with EPERM */
    return false;
}

long sys_rt_sigqueueinfo(struct call *call) {
    int pid = (int)call->arg[0], signal = (int)call->arg[1];
    siginfo_t info;
    if (copy_info(&info, call->arg[2], signal))
        return -EFAULT;
    if (send_to_self(call->thread, pid, 0, &info))
        return 0;
    if (signal == SIGKILL && end_process(call->thread, pid))
        return 0;
    return host(__NR_rt_sigqueueinfo, pid, signal, &info);
}

long sys_rt_tgsigqueueinfo(struct call *call) {
    int pid = (int)call->arg[0], tid = (int)call->arg[1], signal = (int)call->arg[2];
    siginfo_t info;
    if (copy_info(&info, call->arg[3], signal))
        return -EFAULT;
    if (send_to_self(call->thread, pid, tid, &info))
        return 0;
    if (signal == SIGKILL && end_process_of(call->thread, pid, tid))
        return 0;
    return host(__NR_rt_tgsigqueueinfo, pid, tid, signal, &info);
}

long sys_pidfd_send_signal(struct call *call) {
    int fd = (int)call->arg[0], signal = (int)call->arg[1];
    u32 flags = (u32)call->arg[3];
    siginfo_t info;
    if (!guest_fd_ok(call->arg[0]))
        return -EBADF;
    if (call->arg[2]) {
        if (copy_from_guest(&info, call->arg[2], sizeof info))
            return -EFAULT;
        if (info.si_signo != signal)
            return -EINVAL;
        if (looks_real(&info))
            info.si_code = SI_QUEUE;
    }
    if (signal == SIGKILL && !flags) {
        siginfo_t request = kill_request();
        if (host(__NR_pidfd_send_signal, fd, SIGNAL_KICK, &request, 0) == 0)
            await_end(fd);
    }
    return host(__NR_pidfd_send_signal, fd, signal, call->arg[2] ? &info : NULL, flags);
}
