/* /proc as programs use it: exe, fd, maps, status, task, other processes, system-wide files. */
#include "check.h"
#include <dirent.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <sys/prctl.h>

static char content[1 << 18];
static size_t slurp(const char *path) {
    int fd = open(path, O_RDONLY);
    size_t used = 0;
    content[0] = 0;
    if (fd < 0) {
        printf("%s: %s\n", path, error_name(errno));
        return 0;
    }
    for (long got; used < sizeof content - 1 &&
                   (got = read(fd, content + used, sizeof content - 1 - used)) > 0;)
        used += (size_t)got;
    content[used] = 0;
    close(fd);
    return used;
}
/* Value of a "Name:" line of what was read, without leading blanks. */
static const char *field(const char *name) {
    static char value[128];
    char *line = strstr(content, name);
    if (!line)
        return "?";
    snprintf(value, sizeof value, "%s", line + strlen(name));
    value[strcspn(value, "\n")] = 0;
    return value + strspn(value, " \t:");
}
static int entries(const char *path, bool digits) {
    DIR *dir = opendir(path);
    int count = 0;
    if (!dir)
        return -errno;
    for (struct dirent *entry; (entry = readdir(dir));)
        count +=
            digits ? entry->d_name[0] >= '0' && entry->d_name[0] <= '9' : entry->d_name[0] != '.';
    closedir(dir);
    return count;
}
static const char *link_of(const char *path) {
    static char target[512];
    long got = readlink(path, target, sizeof target - 1);
    if (got < 0)
        return error_name(errno);
    target[got] = 0;
    return target;
}

static void links(const char *program) {
    title("links");
    printf("exe is the program %d\n",
           strcmp(strrchr(link_of("/proc/self/exe"), '/'), strrchr(program, '/')) == 0);
    printf("cwd %s root %s\n", link_of("/proc/self/cwd"), link_of("/proc/self/root"));
    char path[64];
    snprintf(path, sizeof path, "%d", getpid());
    printf("self %d\n", strcmp(link_of("/proc/self"), path) == 0);
    snprintf(path, sizeof path, "%d/task/%d", getpid(), gettid());
    printf("thread-self %d\n", strcmp(link_of("/proc/thread-self"), path) == 0);
    int fd = MUST(open("/tmp/proc-check", O_RDWR | O_CREAT | O_TRUNC, 0600));
    MUST(write(fd, "reopened", 8));
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    printf("fd %s\n", link_of(path));
    int again = MUST(open(path, O_RDONLY));
    char text[16] = {0};
    SHOW(read(again, text, 16));
    MUST(unlink("/tmp/proc-check"));
    printf("fd %s\n", link_of(path));
    snprintf(path, sizeof path, "/dev/fd/%d", fd);
    OK(open(path, O_RDWR));
    SHOW(open("/proc/self/fd/900", O_RDONLY));
    SHOW(readlink("/proc/self/fd/xyz", text, 16));
    int pipes[2];
    MUST(pipe(pipes));
    snprintf(path, sizeof path, "/proc/self/fd/%d", pipes[0]);
    printf("pipe %.6s\n", link_of(path));
    SHOW(entries("/proc/self/fd", true));
    SHOW(entries("/dev/fd", true));
    struct stat info;
    SHOW(stat("/proc/self/exe", &info));
    SHOW(S_ISREG(info.st_mode));
    SHOW(lstat("/proc/self/exe", &info));
    SHOW(S_ISLNK(info.st_mode));
    SHOW(stat("/proc/self", &info));
    SHOW(S_ISDIR(info.st_mode));
    SHOW(access("/proc/self/missing", F_OK));
    SHOW(mkdir("/proc/x", 0700) == -1);
    SHOW(open("/proc/x", O_CREAT | O_WRONLY, 0600) == -1);
    int exe = MUST(open("/proc/self/exe", O_RDONLY));
    SHOW(read(exe, text, 4));
    IS(memcmp(text, "\177ELF", 4) == 0);
    for (int i = fd; i < 20; i++)
        close(i);
}

static int own_data = 5;
static bool mapped(const void *address, const char *access, const char *name) {
    char line[600];
    FILE *maps = fopen("/proc/self/maps", "r");
    bool found = false;
    while (fgets(line, sizeof line, maps)) {
        unsigned long start, end;
        char flags[8], file[400] = "";
        if (sscanf(line, "%lx-%lx %7s %*s %*s %*s %399[^\n]", &start, &end, flags, file) < 3)
            printf("odd line %s", line);
        if ((unsigned long)address >= start && (unsigned long)address < end)
            found = strncmp(flags, access, 4) == 0 && (!*name || strstr(file, name));
    }
    fclose(maps);
    return found;
}

static void maps(void) {
    title("maps");
    int local = 0;
    char *heap = sbrk(4096),
         *area = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    IS(mapped((void *)(uintptr_t)maps, "r-xp", "proc_self"));
    IS(mapped(&own_data, "rw-p", "proc_self"));
    IS(mapped(&local, "rw-p", "[stack]"));
    IS(mapped(heap, "rw-p", "[heap]"));
    IS(mapped(area, "r--p", ""));
    IS(!getauxval(AT_SYSINFO_EHDR) || mapped((void *)getauxval(AT_SYSINFO_EHDR), "r-xp", "[vdso]"));
    MUST(munmap(area, 4096));
    IS(!mapped(area, "r--p", ""));
    SHOW(slurp("/proc/self/smaps") > 100);
    SHOW(slurp("/proc/self/statm") > 5);
    IS(atol(content) > 10);
    int memory = open("/proc/self/mem", O_RDWR), value = 0;
    SHOW(pread(memory, &value, 4, (off_t)(uintptr_t)&own_data));
    printf("value %d\n", value);
    value = 6;
    SHOW(pwrite(memory, &value, 4, (off_t)(uintptr_t)&own_data));
    printf("value %d\n", own_data);
    SHOW(pread(memory, &value, 4, 64) == -1);
    close(memory);
}

static void *idle(void *unused) {
    pause();
    return unused;
}
static void states(void) {
    title("status");
    prctl(PR_SET_NAME, "checker");
    slurp("/proc/self/status");
    printf("name %s\n", field("Name:"));
    printf("threads %s\n", field("Threads:"));
    printf("tracer %s\n", field("TracerPid:"));
    IS(atoi(field("Pid:")) == getpid());
    IS(atoi(field("Tgid:")) == getpid());
    printf("uid %s\n", field("Uid:"));
    printf("gid %s\n", field("Gid:"));
    slurp("/proc/self/status");
    IS(strncmp(field("State:"), "R", 1) == 0);
    IS(atol(field("VmRSS:")) > 0);
    IS(atol(field("VmSize:")) < 4 << 20);
    printf("blocked %s\n", field("SigBlk:"));
    printf("ignored %s\n", field("SigIgn:"));
    slurp("/proc/self/stat");
    IS(atoi(content) == getpid());
    printf("%s\n", strstr(content, "(checker)") ? "comm in stat" : content);
    slurp("/proc/self/comm");
    printf("comm %s", content);
    size_t size = slurp("/proc/self/cmdline");
    printf("cmdline %zu ends with %s\n", size, strrchr(content, '/'));
    SHOW(slurp("/proc/self/environ") > 0);
    printf("environ %s\n", strstr(content, "PATH=") ? "has PATH" : "lacks PATH");
    unsigned long vector[128] = {0};
    size = slurp("/proc/self/auxv");
    memcpy(vector, content, size < sizeof vector ? size : sizeof vector);
    for (int i = 0; vector[i]; i += 2)
        if (vector[i] == AT_ENTRY || vector[i] == AT_RANDOM || vector[i] == AT_PHDR)
            IS(vector[i + 1] == getauxval(vector[i]));
    pthread_t thread;
    SHOW(entries("/proc/self/task", true));
    pthread_create(&thread, NULL, idle, NULL);
    pthread_create(&thread, NULL, idle, NULL);
    SHOW(entries("/proc/self/task", true));
    slurp("/proc/self/status");
    printf("threads %s\n", field("Threads:"));
    slurp("/proc/thread-self/comm");
    printf("comm %s", content);
    const char *readable[] = {"limits", "mounts",    "mountinfo", "cgroup",  "oom_score_adj",
                              "io",     "schedstat", "uid_map",   "loginuid"};
    for (size_t i = 0; i < 5; i++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/self/%s", readable[i]);
        printf("%s readable %d\n", readable[i], slurp(path) > 0);
    }
}

static void others(const char *program) {
    title("other processes");
    int gate[2];
    MUST(pipe(gate));
    pid_t child = fork_flushed();
    char path[64], byte;
    if (!child) {
        char *arguments[] = {(char *)program, "wait here", NULL}, *environment[] = {"MARK=1", NULL};
        MUST(dup2(gate[1], 1));
        execve("/proc/self/exe", arguments, environment);
        leave_child(1);
    }
    close(gate[1]);
    MUST(read(gate[0], &byte, 1));
    snprintf(path, sizeof path, "/proc/%d/cmdline", child);
    size_t size = slurp(path);
    printf("cmdline %zu, second argument %s\n", size, content + strlen(content) + 1);
    snprintf(path, sizeof path, "/proc/%d/environ", child);
    slurp(path);
    printf("environ %s\n", content);
    snprintf(path, sizeof path, "/proc/%d/status", child);
    for (int64_t end = now_ms() + 5000; slurp(path) && *field("State:") != 'S' && now_ms() < end;)
        pause_ms(1);
    IS(atoi(field("PPid:")) == getpid());
    printf("state %.1s\n", field("State:"));
    snprintf(path, sizeof path, "/proc/%d/exe", child);
    printf("exe %d\n", strcmp(strrchr(link_of(path), '/'), strrchr(program, '/')) == 0);
    snprintf(path, sizeof path, "/proc/%d/root/etc/passwd", child);
    printf("a file beneath its root %d\n", slurp(path) > 0);
    snprintf(path, sizeof path, "/proc/%d/root/no such file", child);
    OK(access(path, F_OK));
    snprintf(path, sizeof path, "/proc/%d", child);
    IS(access(path, F_OK) == 0);
    kill(child, SIGKILL);
    reap("child", child);
    IS(access(path, F_OK) == -1);
    IS(access("/proc/99999999", F_OK) == -1);
    IS(entries("/proc", true) >= 1 && entries("/proc", true) < 10);
}

static void wide(void) {
    title("system-wide");
    const char *files[] = {"cpuinfo",
                           "meminfo",
                           "uptime",
                           "loadavg",
                           "stat",
                           "version",
                           "mounts",
                           "filesystems",
                           "vmstat",
                           "sys/kernel/ostype",
                           "sys/kernel/pid_max",
                           "sys/vm/overcommit_memory",
                           "sys/kernel/random/boot_id"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%s", files[i]);
        printf("%s %d\n", files[i], slurp(path) > 0);
    }
    slurp("/proc/meminfo");
    IS(atol(field("MemTotal:")) > 1000);
    slurp("/proc/cpuinfo");
    IS(strstr(content, "processor") != NULL);
}

int main(int argc, char **argv) {
    if (argc > 1) {
        (void)!write(1, "x", 1);
        for (;;)
            pause();
    }
    links(argv[0]);
    maps();
    states();
    others(argv[0]);
    wide();
    return 0;
}
