/* Every kind of bad address at every pointer argument: the errno must be Linux's. */
#include "check.h"
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/socket.h>

#define BAD ((long)0x5ad5ad5ad5ad) /* stands for the address under test */
struct probe {
    const char *name;
    long number, argument[6];
};
static char good[8192] __attribute__((aligned(16)));
#define GOOD ((long)good)

static int file, unix_pair[2], pipes[2], epoll, directory, notify;

static void run(const struct probe *probe, const char *kinds[], const long addresses[], int count) {
    printf("%s:", probe->name);
    for (int i = 0; i < count; i++) {
        long argument[6];
        for (int k = 0; k < 6; k++)
            argument[k] = probe->argument[k] == BAD ? addresses[i] : probe->argument[k];
        memset(good, 0, sizeof good);
        strcpy(good, "/tmp");
        errno = 0;
        long result = syscall(probe->number, argument[0], argument[1], argument[2], argument[3],
                              argument[4], argument[5]);
        printf(" %s=%s", kinds[i], result == -1 ? error_name(errno) : "ok");
    }
    printf("\n");
}

int main(void) {
    enter_directory();
    file = MUST(open("f", O_RDWR | O_CREAT, 0600));
    MUST(ftruncate(file, 100));
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, unix_pair));
    MUST(pipe2(pipes, O_NONBLOCK));
    MUST(write(pipes[1], "0123456789", 10));
    epoll = MUST(epoll_create1(0));
    notify = MUST(inotify_init());
    directory = MUST(open(".", O_RDONLY));
    MUST(send(unix_pair[0], "0123456789", 10, 0));
    char *hole = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(hole + 4096, 4096, PROT_NONE);
    munmap(hole + 8192, 4096);
    const char *kinds[] = {"null",   "low",  "none",   "unmapped", "edge",
                           "window", "half", "kernel", "top"};
    const long addresses[] = {0,
                              8,
                              (long)(hole + 4096),
                              (long)(hole + 8192),
                              (long)(hole + 4094),
                              1l << 46,
                              1l << 47,
                              (long)0xffff888000000000,
                              -2};
    const struct probe probes[] = {
        {"read", SYS_read, {file, BAD, 10}},
        {"write", SYS_write, {file, BAD, 10}},
        {"write nothing", SYS_write, {file, BAD, 0}},
        {"pread", SYS_pread64, {file, BAD, 10, 0}},
        {"pwrite", SYS_pwrite64, {file, BAD, 10, 0}},
        {"open", SYS_open, {BAD, O_RDONLY}},
        {"openat", SYS_openat, {AT_FDCWD, BAD, O_RDONLY}},
        {"openat2", SYS_openat2, {AT_FDCWD, GOOD, BAD, 24}},
        {"stat path", SYS_stat, {BAD, GOOD + 4096}},
        {"stat", SYS_stat, {GOOD, BAD}},
        {"fstat", SYS_fstat, {file, BAD}},
        {"newfstatat", SYS_newfstatat, {AT_FDCWD, GOOD, BAD, 0}},
        {"statx", SYS_statx, {AT_FDCWD, GOOD, 0, 0xfff, BAD}},
        {"statfs", SYS_statfs, {GOOD, BAD}},
        {"fstatfs", SYS_fstatfs, {file, BAD}},
        {"access", SYS_access, {BAD, 0}},
        {"readlink", SYS_readlink, {BAD, GOOD, 10}},
        {"getcwd", SYS_getcwd, {BAD, 100}},
        {"chdir", SYS_chdir, {BAD}},
        {"mkdir", SYS_mkdir, {BAD, 0700}},
        {"rename", SYS_rename, {GOOD, BAD}},
        {"symlink", SYS_symlink, {BAD, GOOD}},
        {"unlink", SYS_unlink, {BAD}},
        {"chmod", SYS_chmod, {BAD, 0700}},
        {"truncate", SYS_truncate, {BAD, 0}},
        {"getdents64", SYS_getdents64, {directory, BAD, 1000}},
        {"utimensat", SYS_utimensat, {file, 0, BAD, 0}},
        {"readv", SYS_readv, {file, BAD, 1}},
        {"writev", SYS_writev, {file, BAD, 1}},
        {"ioctl FIONREAD", SYS_ioctl, {pipes[0], 0x541b, BAD}},
        {"ioctl TIOCGWINSZ", SYS_ioctl, {file, 0x5413, BAD}},
        {"fcntl GETLK", SYS_fcntl, {file, F_GETLK, BAD}},
        {"pipe", SYS_pipe, {BAD}},
        {"socketpair", SYS_socketpair, {AF_UNIX, SOCK_STREAM, 0, BAD}},
        {"bind", SYS_bind, {unix_pair[0], BAD, 20}},
        {"connect", SYS_connect, {unix_pair[0], BAD, 20}},
        {"getsockname", SYS_getsockname, {unix_pair[0], BAD, GOOD}},
        {"getsockname length", SYS_getsockname, {unix_pair[0], GOOD, BAD}},
        {"getsockopt", SYS_getsockopt, {unix_pair[0], SOL_SOCKET, SO_TYPE, BAD, GOOD}},
        {"getsockopt length", SYS_getsockopt, {unix_pair[0], SOL_SOCKET, SO_TYPE, GOOD, BAD}},
        {"setsockopt", SYS_setsockopt, {unix_pair[0], SOL_SOCKET, SO_KEEPALIVE, BAD, 4}},
        {"sendto", SYS_sendto, {unix_pair[0], BAD, 10, 0, 0, 0}},
        {"recvfrom", SYS_recvfrom, {unix_pair[1], BAD, 10, MSG_PEEK, 0, 0}},
        {"sendmsg", SYS_sendmsg, {unix_pair[0], BAD, 0}},
        {"recvmsg", SYS_recvmsg, {unix_pair[1], BAD, MSG_PEEK}},
        {"poll", SYS_poll, {BAD, 1, 0}},
        {"ppoll time", SYS_ppoll, {GOOD, 1, BAD, 0, 8}},
        {"select", SYS_select, {10, BAD, 0, 0, GOOD + 4096}},
        {"epoll_ctl", SYS_epoll_ctl, {epoll, EPOLL_CTL_ADD, pipes[0], BAD}},
        {"epoll_ctl MOD", SYS_epoll_ctl, {epoll, EPOLL_CTL_MOD, pipes[0], BAD}},
        {"nanosleep", SYS_nanosleep, {BAD, 0}},
        {"clock_gettime", SYS_clock_gettime, {0, BAD}},
        {"gettimeofday", SYS_gettimeofday, {BAD, 0}},
        {"time", SYS_time, {BAD}},
        {"times", SYS_times, {BAD}},
        {"setitimer", SYS_setitimer, {0, BAD, 0}},
        {"getitimer", SYS_getitimer, {0, BAD}},
        {"timer_create", SYS_timer_create, {1, 0, BAD}},
        {"timerfd_settime", SYS_timerfd_settime, {file, 0, BAD, 0}},
        {"rt_sigaction", SYS_rt_sigaction, {SIGUSR1, BAD, 0, 8}},
        {"rt_sigaction old", SYS_rt_sigaction, {SIGUSR1, 0, BAD, 8}},
        {"rt_sigprocmask", SYS_rt_sigprocmask, {SIG_SETMASK, BAD, 0, 8}},
        {"rt_sigprocmask old", SYS_rt_sigprocmask, {SIG_SETMASK, 0, BAD, 8}},
        {"rt_sigpending", SYS_rt_sigpending, {BAD, 8}},
        {"rt_sigqueueinfo", SYS_rt_sigqueueinfo, {1 << 21, SIGUSR1, BAD}},
        {"sigaltstack", SYS_sigaltstack, {BAD, 0}},
        {"sigaltstack old", SYS_sigaltstack, {0, BAD}},
        {"uname", SYS_uname, {BAD}},
        {"sysinfo", SYS_sysinfo, {BAD}},
        {"getrlimit", SYS_getrlimit, {4, BAD}},
        {"setrlimit", SYS_setrlimit, {4, BAD}},
        {"prlimit64", SYS_prlimit64, {0, 4, 0, BAD}},
        {"getrusage", SYS_getrusage, {0, BAD}},
        {"getresuid", SYS_getresuid, {BAD, GOOD, GOOD}},
        {"getgroups", SYS_getgroups, {100, BAD}},
        {"setgroups", SYS_setgroups, {2, BAD}},
        {"capget", SYS_capget, {BAD, GOOD}},
        {"getrandom", SYS_getrandom, {BAD, 10, 0}},
        {"sched_getaffinity", SYS_sched_getaffinity, {0, 128, BAD}},
        {"sched_getparam", SYS_sched_getparam, {0, BAD}},
        {"mincore", SYS_mincore, {GOOD & -4096l, 4096, BAD}},
        {"futex wake", SYS_futex, {BAD, 1, 1}},
        {"futex wait", SYS_futex, {BAD, 0, 0}},
        {"futex time", SYS_futex, {GOOD, 0, 5, BAD}},
        {"wait4", SYS_wait4, {-1, BAD, 1, 0}},
        {"execve", SYS_execve, {BAD, 0, 0}},
        {"execve arguments", SYS_execve, {GOOD, BAD, 0}},
        {"memfd_create", SYS_memfd_create, {BAD, 0}},
        {"getxattr", SYS_getxattr, {GOOD, BAD, GOOD, 10}},
        {"sendfile", SYS_sendfile, {pipes[1], file, BAD, 4}},
        {"copy_file_range", SYS_copy_file_range, {file, BAD, file, 0, 4, 0}},
        {"signalfd4", SYS_signalfd4, {-1, BAD, 8, 0}},
        {"inotify_add_watch", SYS_inotify_add_watch, {notify, BAD, 1}},
        {"prctl name", SYS_prctl, {15, BAD}},
        {"arch_prctl", SYS_arch_prctl, {0x1003, BAD}},
    };
    for (size_t i = 0; i < sizeof probes / sizeof *probes; i++)
        run(&probes[i], kinds, addresses, sizeof addresses / sizeof *addresses);
    MUST(chdir(check_directory));
    check_leave();
    return 0;
}
