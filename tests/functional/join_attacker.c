/* What a monitor that was taken over could do to processes on their way into its instance: joins
 * the namespaces of the process FIRST natively, as its root with the capabilities that monitors
 * have, and tries to look into every process of the instance until it has met COUNT of them. With
 * `programs` those that run a program of the instance's are left alone: where there is no monitor
 * they are its own.
 * Usage, as the host's root: join_attacker FIRST SUPERVISOR COUNT [programs] */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define CAPABILITIES 0x405fbu
#define PIDS 65536

static void must(long result, const char *what) {
    if (result < 0) {
        perror(what);
        _exit(99);
    }
}

/* The procfs of the instance, which supervise holds. */
static int find_procfs(const char *supervisor) {
    char path[320];
    snprintf(path, sizeof path, "/proc/%s/fd", supervisor);
    DIR *directory = opendir(path);
    struct dirent *entry;
    while (directory && (entry = readdir(directory))) {
        struct statfs status;
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/%s/fd/%s", supervisor, entry->d_name);
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0 && fstatfs(fd, &status) == 0 && status.f_type == PROC_SUPER_MAGIC)
            return fd;
        close(fd);
    }
    must(-1, "finding the procfs");
    return -1;
}

static void become_a_monitor(int first) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{CAPABILITIES, CAPABILITIES, 0}};
    int namespaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |
                     CLONE_NEWCGROUP | CLONE_NEWNET;
    int pidfd = (int)syscall(SYS_pidfd_open, first, 0);
    must(pidfd, "pidfd_open");
    must(setns(pidfd, namespaces), "setns");
    close(pidfd);
    must(setresgid(0, 0, 0), "setresgid");
    must(setresuid(0, 0, 0), "setresuid");
    pid_t child = fork();
    must(child, "fork");
    if (child) {
        int status;
        waitpid(child, &status, 0);
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 98);
    }
    must(syscall(SYS_capset, &header, data), "capset");
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
}

static int bait; /* a process that may be looked into, to see that all attacks work */
static int caught;

static bool spares_programs;
static int procfs;

/* It executes a file of the instance's, or has come to its end. */
static bool is_program(int pid) {
    char path[64], text[256];
    snprintf(path, sizeof path, "%d/exe", pid);
    ssize_t length = readlinkat(procfs, path, text, sizeof text);
    return length < 0 ? errno == ENOENT || errno == ESRCH
                      : text[0] != '/' || memcmp(text, "/memfd:", 7);
}

/* What was reached may have become the instance's just before. */
static void report(bool reached, const char *what, int pid) {
    if (reached && pid != bait && !(spares_programs && is_program(pid)))
        printf("REACHED %s of %d\n", what, pid);
    caught += reached && pid == bait;
}

static void set_bait(void) {
    bait = fork();
    must(bait, "fork");
    if (bait)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_DUMPABLE, 1);
    for (;;)
        pause();
}

#define MONITOR_CODE 0x400000

/* Of a process without memory, as it ends, files can be opened, and nothing read. */
static bool can_open(int pid, const char *name) {
    char path[64], byte;
    snprintf(path, sizeof path, "%d/%s", pid, name);
    int fd = openat(procfs, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    struct stat status;
    bool is_directory = fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
    bool reached =
        is_directory || pread(fd, &byte, 1, 0) > 0 || pread(fd, &byte, 1, MONITOR_CODE) > 0;
    close(fd);
    return reached;
}

static bool can_read_link(int pid, const char *name) {
    char path[64], text[256];
    snprintf(path, sizeof path, "%d/%s", pid, name);
    return readlinkat(procfs, path, text, sizeof text) >= 0;
}

static bool can_take_descriptor(int pid) {
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    bool taken = false;
    for (int fd = 0; fd < 32 && pidfd >= 0 && !taken; fd++)
        taken = syscall(SYS_pidfd_getfd, pidfd, fd, 0) >= 0;
    close(pidfd);
    return taken;
}

static bool can_read_memory(int pid) {
    char byte;
    struct iovec ours = {&byte, 1}, theirs = {(void *)MONITOR_CODE, 1};
    return process_vm_readv(pid, &ours, 1, &theirs, 1, 0) > 0;
}

static void attack(int pid) {
    static const char *const files[] = {"mem", "exe", "maps", "environ", "auxv", "fd", "map_files"};
    static const char *const links[] = {"exe", "root", "cwd", "fd/0", "fd/3", "ns/user"};
    for (unsigned i = 0; i < sizeof files / sizeof *files; i++)
        report(can_open(pid, files[i]), files[i], pid);
    for (unsigned i = 0; i < sizeof links / sizeof *links; i++)
        report(can_read_link(pid, links[i]), links[i], pid);
    report(ptrace(PTRACE_SEIZE, pid, 0, 0) == 0, "tracing", pid);
    report(can_take_descriptor(pid), "descriptors", pid);
    report(can_read_memory(pid), "memory", pid);
}

int main(int argc, char **argv) {
    static bool seen[PIDS];
    int count = 0;
    if (argc < 4)
        return 2;
    spares_programs = argc > 4;
    procfs = find_procfs(argv[2]);
    become_a_monitor(atoi(argv[1]));
    setvbuf(stdout, NULL, _IOLBF, 0);
    set_bait();
    puts("ready");
    while (count < atoi(argv[3])) {
        int again = openat(procfs, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *directory = fdopendir(again);
        struct dirent *entry;
        while (directory && (entry = readdir(directory))) {
            int pid = atoi(entry->d_name);
            if (pid <= 0 || pid >= PIDS || pid == getpid())
                continue;
            if (spares_programs && pid != bait && is_program(pid))
                continue;
            count += !seen[pid];
            seen[pid] = true;
            attack(pid);
        }
        closedir(directory);
        while (waitpid(-1, NULL, WNOHANG | __WALL) > 0)
            ; /* who is traced ends only for the tracer until then */
    }
    if (caught < 10)
        printf("only %d attacks work\n", caught);
    puts("looked at all");
    return 0;
}
