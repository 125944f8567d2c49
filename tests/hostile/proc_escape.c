/* /proc as a way out: memory of the monitor, magic links, other processes, the host's settings. */
#include "hostile.h"
#include <dirent.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

static void try_open(const char *path, int flags) {
    int fd = open(path, flags);
    if (fd >= 0) {
        printf("OPENED %s\n", path);
        close(fd);
    }
}

/* The window starts at 16 TiB of the monitor: nothing of it may be read by a true address. */
static void memory(const char *path) {
    int fd = open(path, O_RDWR), leaks = 0;
    if (fd < 0)
        return;
    char text[64];
    const unsigned long outside[] = {0x400000,       0x401000,       0x600000,
                                     0x7ffff7fc0000, 0x100000000000, 0x100000400000,
                                     1ul << 46,      0x7ffffffde000, -4096ul};
    int own = open("/proc/self/maps", O_RDONLY);
    static char maps[65536];
    long used = own >= 0 ? read(own, maps, sizeof maps - 1) : 0;
    maps[used > 0 ? used : 0] = 0;
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        bool mine = false;
        for (char *line = strtok(strdup(maps), "\n"); line; line = strtok(NULL, "\n")) {
            unsigned long start, end;
            mine |= sscanf(line, "%lx-%lx", &start, &end) == 2 && outside[i] >= start &&
                    outside[i] < end;
        }
        if (!mine && (pread(fd, text, 8, (off_t)outside[i]) > 0 ||
                      pwrite(fd, text, 8, (off_t)outside[i]) > 0))
            leaks++;
    }
    IS(leaks == 0);
    close(fd);
    close(own);
}

static char own[256]; /* the program's own file */

static void walk(const char *folder, int depth) {
    DIR *dir = opendir(folder);
    if (!dir)
        return;
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[600], target[256];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%.300s/%.200s", folder, entry->d_name);
        long got = readlink(path, target, sizeof target - 1);
        if (got > 0) {
            target[got] = 0;
            if (strcmp(target, own) == 0)
                continue;
            if (strstr(target, "kvm") || strstr(target, "memfd:kw") || strstr(target, "kwhost"))
                printf("LINK %s -> %s\n", path, target);
        } else if (entry->d_type == DT_DIR && depth > 0) {
            walk(path, depth - 1);
        }
    }
    closedir(dir);
}

/* What can be opened of one's own process still tells nothing of the machine, and is not changed.
 */
static void look_closer(void) {
    uint64_t page = 0;
    char text[64];
    off_t at = (off_t)((uintptr_t)text / 4096 * sizeof page);
    int fd = open("/proc/self/pagemap", O_RDONLY);
    IS(pread(fd, &page, sizeof page, at) <= 0 || (page & ((1ul << 55) - 1)) == 0);
    close(fd);
    fd = open("/proc/self/stack", O_RDONLY);
    IS(read(fd, text, sizeof text) <= 0);
    close(fd);
    fd = open("/proc/self/uid_map", O_WRONLY);
    IS(write(fd, "0 0 1\n", 6) == -1);
    close(fd);
}

int main(void) {
    title("links");
    char path[128];
    for (int fd = 3; fd < 20000; fd++) {
        if (fd >= 300 && fd < 14000)
            continue;
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        try_open(path, O_RDONLY);
        snprintf(path, sizeof path, "/proc/thread-self/fdinfo/%d", fd);
        try_open(path, O_RDONLY);
        snprintf(path, sizeof path, "/dev/fd/%d", fd);
        try_open(path, O_PATH);
    }
    MUST(readlink("/proc/self/exe", own, sizeof own - 1));
    walk("/proc", 2);
    title("doors");
    const char *doors[] = {"/proc/self/map_files",
                           "/proc/self/ns/user",
                           "/proc/self/ns/mnt",
                           "/proc/1/ns/pid",
                           "/proc/self/pagemap",
                           "/proc/kcore",
                           "/proc/kmsg",
                           "/proc/sysrq-trigger",
                           "/proc/self/clear_refs",
                           "/proc/self/stack",
                           "/proc/self/syscall",
                           "/proc/self/personality",
                           "/proc/self/uid_map/../../1/root/../../etc/shadow",
                           "/dev/kvm",
                           "/dev/mem",
                           "/sys/kernel/debug"};
    for (size_t i = 0; i < sizeof doors / sizeof *doors; i++)
        try_open(doors[i], i == 7 ? O_WRONLY : O_RDWR);
    const char *writes[] = {"/proc/sys/kernel/core_pattern",
                            "/proc/sys/vm/overcommit_memory",
                            "/proc/sys/kernel/hostname",
                            "/proc/self/uid_map",
                            "/proc/self/setgroups",
                            "/proc/self/coredump_filter",
                            "/sys/power/state",
                            "/sys/fs/cgroup/cgroup.procs"};
    for (size_t i = 0; i < sizeof writes / sizeof *writes; i++)
        if (strcmp(writes[i], "/proc/sys/kernel/hostname") &&
            strcmp(writes[i], "/proc/self/coredump_filter"))
            try_open(writes[i], O_WRONLY);
    look_closer();
    title("memory");
    memory("/proc/self/mem");
    snprintf(path, sizeof path, "/proc/%d/mem", getpid());
    memory(path);
    snprintf(path, sizeof path, "/proc/self/task/%d/mem", gettid());
    memory(path);
    int proc = open("/proc", O_RDONLY | O_DIRECTORY),
        self = openat(proc, "self", O_RDONLY | O_DIRECTORY);
    IS(openat(self, "exe", O_WRONLY) == -1);
    IS(openat(self, "root/proc/1/mem", O_RDWR) == -1 || getpid() == 1);
    title("calls");
    struct iovec local = {path, 8}, remote = {(void *)0x400000, 8};
    IS(process_vm_readv(getppid(), &local, 1, &remote, 1, 0) == -1);
    IS(process_vm_writev(getpid(), &local, 1, &remote, 1, 0) == -1);
    IS(ptrace(PTRACE_TRACEME, 0, 0, 0) == -1);
    IS(ptrace(PTRACE_ATTACH, 1, 0, 0) == -1);
    IS(ptrace(PTRACE_SEIZE, getppid(), 0, 0) == -1);
    IS(syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, getpid(), 0), 0, 0) == -1);
    IS(mount("none", "/tmp", "tmpfs", 0, "") == -1);
    IS(syscall(SYS_bpf, 0, path, 8) == -1);
    IS(syscall(SYS_io_uring_setup, 4, path) == -1);
    IS(syscall(SYS_userfaultfd, 0) == -1);
    IS(syscall(SYS_perf_event_open, path, 0, -1, -1, 0) == -1);
    IS(syscall(SYS_kcmp, getpid(), 1, 0, 0, 0) == -1);
    IS(syscall(SYS_setns, 0, 0) == -1);
    IS(syscall(SYS_unshare, 0x10000000 /* CLONE_NEWUSER */) == -1);
    IS(syscall(SYS_keyctl, 0, 0, 0, 0, 0) == -1);
    IS(prctl(PR_SET_MM, 1, 0, 0, 0) == -1);
    IS(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0);
    memory("/proc/self/mem");
    survived();
    return 0;
}
