/* Runs a program natively under the conditions that an instance gives: uid 0 of a user namespace
 * with 65,536 ids and few capabilities, own mount, pid, IPC, UTS and network namespaces, private
 * /tmp, /dev/shm, /dev/pts and /proc. The reference of the differential tests.
 *
 *   contain [-v SRC:DST]... [--] PROGRAM [ARG...]
 *
 * Exit status: the program's; 128+N by signal N; 125 when the conditions cannot be made. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ID_BASE 700000
#define ID_COUNT 65536

static void need(int result, const char *what) {
    if (result == -1) {
        fprintf(stderr, "contain: %s: %s\n", what, strerror(errno));
        exit(125);
    }
}

static void write_map(pid_t child, const char *name) {
    char path[64], text[64];
    snprintf(path, sizeof path, "/proc/%d/%s", child, name);
    int length = snprintf(text, sizeof text, "0 %d %d\n", ID_BASE, ID_COUNT);
    int fd = open(path, O_WRONLY);
    need(fd, path);
    need((int)write(fd, text, (size_t)length), path);
    close(fd);
}

static void mounts(void) {
    const unsigned long plain = MS_NOSUID | MS_NODEV;
    need(mount("tmpfs", "/tmp", "tmpfs", plain, "mode=1777"), "/tmp");
    need(mount("tmpfs", "/dev/shm", "tmpfs", plain, "mode=1777"), "/dev/shm");
    need(mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
               "newinstance,ptmxmode=0666,mode=620"),
         "/dev/pts");
    need(mount("/dev/pts/ptmx", "/dev/ptmx", NULL, MS_BIND, NULL), "/dev/ptmx");
    need(mount("proc", "/proc", "proc", plain | MS_NOEXEC, NULL), "/proc");
}

/* Any user may bind any port of a network that is its instance's alone, as under Docker. */
static void loopback(void) {
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    need(fd, "socket");
    need(ioctl(fd, SIOCSIFFLAGS, &request), "loopback");
    close(fd);
    fd = open("/proc/sys/net/ipv4/ip_unprivileged_port_start", O_WRONLY | O_CLOEXEC);
    need(fd, "port start");
    need((int)write(fd, "0", 1), "port start");
    close(fd);
}

/* Docker's list less the dangerous four, as for instances. */
static void drop_capabilities(void) {
    const int kept[] = {
        CAP_CHOWN,  CAP_DAC_OVERRIDE, CAP_FOWNER,  CAP_FSETID,           CAP_KILL,
        CAP_SETGID, CAP_SETUID,       CAP_SETPCAP, CAP_NET_BIND_SERVICE, CAP_SYS_CHROOT};
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{0}};
    unsigned keep = 0;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        keep |= 1u << kept[i];
    for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
        if (cap >= 32 || !(keep & 1u << cap))
            need(prctl(PR_CAPBSET_DROP, cap), "bounding set");
    data[0].effective = data[0].permitted = keep;
    need((int)syscall(SYS_capset, &header, data), "capset");
    need(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
}

static void limits(void) {
    struct rlimit files = {1024, 4096}, stack = {8 << 20, RLIM_INFINITY}, none = {0, 0};
    need(setrlimit(RLIMIT_NOFILE, &files), "RLIMIT_NOFILE");
    need(setrlimit(RLIMIT_CORE, &none), "RLIMIT_CORE");
    setrlimit(RLIMIT_STACK, &stack);
}

static int code_of(int status) {
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Process 1 of the namespace: starts the program, reaps whatever is left to it. */
static int reaper(char **program, char **environment) {
    pid_t main_child = fork();
    need(main_child, "fork");
    if (main_child == 0) {
        setsid();
        execvpe(program[0], program, environment);
        fprintf(stderr, "contain: %s: %s\n", program[0], strerror(errno));
        _exit(errno == ENOENT ? 127 : 126);
    }
    for (int status;;)
        if (wait(&status) == main_child)
            return code_of(status);
}

int main(int argc, char **argv) {
    const char *binds[8][2];
    int bind_count = 0, up[2], down[2], option, status;
    while ((option = getopt(argc, argv, "+v:")) != -1) {
        char *colon = option == 'v' ? strchr(optarg, ':') : NULL;
        if (!colon || bind_count == 8)
            return 125;
        *colon = 0;
        binds[bind_count][0] = optarg;
        binds[bind_count++][1] = colon + 1;
    }
    if (optind >= argc)
        return 125;
    need(pipe2(up, O_CLOEXEC), "pipe");
    need(pipe2(down, O_CLOEXEC), "pipe");
    /* The mounts of host folders are made while still privileged over them. */
    need(unshare(CLONE_NEWNS), "unshare");
    need(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private mounts");
    for (int i = 0; i < bind_count; i++)
        need(mount(binds[i][0], binds[i][1], NULL, MS_BIND, NULL), binds[i][1]);
    pid_t child = fork();
    need(child, "fork");
    if (child == 0) {
        char byte;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        need(unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |
                     CLONE_NEWNET | CLONE_NEWCGROUP),
             "unshare");
        need((int)write(up[1], "", 1), "pipe");
        need((int)read(down[0], &byte, 1), "pipe");
        need(setresgid(0, 0, 0), "setresgid");
        need(setresuid(0, 0, 0), "setresuid");
        need((int)syscall(SYS_setgroups, 0, NULL), "setgroups");
        pid_t first = fork();
        need(first, "fork");
        if (first == 0) {
            char *environment[] = {"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
                                   "HOME=/root", NULL};
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            /* As an instance starts; the C library would not touch 32 and 33. */
            unsigned long plain[4] = {0};
            for (int number = 1; number <= 64; number++)
                syscall(SYS_rt_sigaction, number, plain, NULL, 8);
            mounts();
            loopback();
            sethostname("reference", 9);
            limits();
            umask(022);
            need(chdir("/"), "chdir");
            drop_capabilities();
            close_range(3, ~0u, 0);
            return reaper(argv + optind, environment);
        }
        need(waitpid(first, &status, 0), "wait");
        return code_of(status);
    }
    char byte;
    close(up[1]); /* so that the read ends when the child does */
    close(down[0]);
    need(read(up[0], &byte, 1) == 1 ? 0 : -1, "the namespaces");
    write_map(child, "uid_map");
    write_map(child, "gid_map");
    need((int)write(down[1], "", 1), "pipe");
    need(waitpid(child, &status, 0), "wait");
    return code_of(status);
}
