/* Resource limits, priorities, prctl, personality and the shape of what the system tells. */
#include "check.h"
#include <sched.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

static void limits(void) {
    title("limits");
    struct rlimit limit, old;
    int which[] = {RLIMIT_NOFILE, RLIMIT_STACK, RLIMIT_CORE, RLIMIT_FSIZE,
                   RLIMIT_DATA,   RLIMIT_AS,    RLIMIT_CPU};
    for (size_t i = 0; i < sizeof which / sizeof *which; i++) {
        printf("limit %d: ", which[i]);
        SHOW(getrlimit(which[i], &old));
        limit = (struct rlimit){i == 0 ? 100 : 1 << 30, i == 0 ? 200 : (rlim_t)2 << 30};
        SHOW(setrlimit(which[i], &limit));
        SHOW(getrlimit(which[i], &limit));
        printf("%lu %lu\n", limit.rlim_cur, limit.rlim_max);
        limit.rlim_max++;
        SHOW(setrlimit(which[i], &limit));
        limit = (struct rlimit){9, 8};
        SHOW(setrlimit(which[i], &limit));
    }
    SHOW(getrlimit(99, &limit));
    SHOW(setrlimit(99, &limit));
    SHOW(syscall(SYS_getrlimit, RLIMIT_CORE, 8));
    SHOW(prlimit(0, RLIMIT_NOFILE, NULL, &limit));
    SHOW(prlimit(getpid(), RLIMIT_NOFILE, NULL, &limit));
    SHOW(prlimit(1 << 21, RLIMIT_NOFILE, NULL, &limit));
    pid_t child = fork_flushed();
    if (!child) {
        SHOW(getrlimit(RLIMIT_NOFILE, &limit));
        printf("inherited %lu %lu\n", limit.rlim_cur, limit.rlim_max);
        SHOW(getrlimit(RLIMIT_STACK, &limit));
        printf("inherited %lu %lu\n", limit.rlim_cur, limit.rlim_max);
        char *arguments[] = {"limits", "after", NULL}, *none[] = {NULL};
        fflush(stdout);
        execve("/proc/self/exe", arguments, none);
    }
    reap("child", child);
}

static void sizes(void) {
    title("enforced");
    enter_directory();
    pid_t child = fork_flushed();
    if (!child) {
        MUST(setrlimit(RLIMIT_FSIZE, &(struct rlimit){1000, 1000}));
        int fd = MUST(open("f", O_RDWR | O_CREAT, 0600));
        char block[2000] = {0};
        SHOW(write(fd, block, sizeof block));
        fflush(stdout);
        SHOW(write(fd, block, sizeof block));
        leave_child(0);
    }
    reap("file size", child);
    child = fork_flushed();
    if (!child) {
        MUST(setrlimit(RLIMIT_AS, &(struct rlimit){200 << 20, 200 << 20}));
        SHOW(mmap(NULL, 1 << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        OK(mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        leave_child(0);
    }
    reap("address space", child);
    child = fork_flushed();
    if (!child) {
        MUST(setrlimit(RLIMIT_CPU, &(struct rlimit){1, 2}));
        for (volatile long i = 0;; i++)
            ;
    }
    reap("processor time", child);
    check_leave();
}

#define MIB (1ul << 20)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW (PROT_READ | PROT_WRITE)

static void set_limit(int which, rlim_t soft, rlim_t hard) {
    MUST(setrlimit(which, &(struct rlimit){soft, hard}));
}

static void data(void) {
    title("data");
    pid_t child = fork_flushed();
    if (!child) {
        set_limit(RLIMIT_DATA, 64 * MIB, 128 * MIB);
        SHOW(mmap(NULL, 65 * MIB, RW, ANON, -1, 0));
        char *kept = MUST(mmap(NULL, 32 * MIB, RW, ANON, -1, 0));
        SHOW(mmap(NULL, 40 * MIB, PROT_WRITE, ANON, -1, 0));
        OK(mmap(NULL, 100 * MIB, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
        char *closed = MUST(mmap(NULL, 100 * MIB, PROT_READ, ANON, -1, 0));
        SHOW(mprotect(closed, 40 * MIB, RW));
        SHOW(mprotect(closed, 8 * MIB, RW));
        SHOW(mremap(kept, 32 * MIB, 80 * MIB, MREMAP_MAYMOVE));
        SHOW(sbrk(80 * MIB));
        SHOW(sbrk(40 * MIB));
        IS(sbrk(8 * MIB) != (void *)-1);
        MUST(munmap(kept, 32 * MIB));
        OK(mmap(NULL, 32 * MIB, RW, ANON, -1, 0));
        set_limit(RLIMIT_DATA, 0, 128 * MIB);
        OK(mmap(NULL, 32 * MIB, RW, ANON, -1, 0));
        SHOW(mmap(NULL, 64 * MIB, RW, ANON, -1, 0));
        leave_child(0);
    }
    reap("data", child);
}

static void locking(void) {
    title("locked memory");
    pid_t child = fork_flushed();
    if (!child) {
        set_limit(RLIMIT_MEMLOCK, 64 << 10, 64 << 10);
        char *at = MUST(mmap(NULL, MIB, RW, ANON, -1, 0));
        SHOW(mlock(at, 32 << 10));
        SHOW(mlock(at, 32 << 10));
        SHOW(mlock(at, 128 << 10));
        SHOW(mlock2(at + (32 << 10), 32 << 10, MLOCK_ONFAULT));
        SHOW(mlock(at + (512 << 10), 4096));
        OK(mmap(NULL, 4096, RW, ANON | MAP_LOCKED, -1, 0));
        SHOW(mremap(at, 64 << 10, 2 * MIB, MREMAP_MAYMOVE));
        SHOW(munlockall());
        OK(mmap(NULL, 64 << 10, RW, ANON | MAP_LOCKED, -1, 0));
        SHOW(mlock(at, 4096));
        SHOW(mlockall(MCL_CURRENT));
        SHOW(mlockall(MCL_ONFAULT));
        SHOW(mlockall(8));
        set_limit(RLIMIT_MEMLOCK, 0, 0);
        SHOW(mlock(at, 4096));
        SHOW(mlock(at, 0));
        SHOW(mlockall(MCL_CURRENT));
        OK(mmap(NULL, 4096, RW, ANON | MAP_LOCKED, -1, 0));
        SHOW(munlock(at, 4096));
        leave_child(0);
    }
    reap("locked memory", child);
}

static void priorities(void) {
    title("priorities and scheduling");
    SHOW(getpriority(PRIO_PROCESS, 0));
    SHOW(setpriority(PRIO_PROCESS, 0, 5));
    SHOW(getpriority(PRIO_PROCESS, 0));
    SHOW(syscall(SYS_getpriority, PRIO_PROCESS, 0));
    SHOW(setpriority(PRIO_PROCESS, 0, -5));
    SHOW(getpriority(9, 0));
    SHOW(getpriority(PRIO_PROCESS, 1 << 21));
    SHOW(nice(1));
    SHOW(sched_getscheduler(0));
    SHOW(sched_get_priority_max(SCHED_FIFO));
    SHOW(sched_get_priority_min(77));
    struct sched_param parameter = {0};
    SHOW(sched_getparam(0, &parameter));
    SHOW(sched_setscheduler(0, SCHED_BATCH, &parameter));
    SHOW(sched_getscheduler(0));
    parameter.sched_priority = 5;
    SHOW(sched_setscheduler(0, SCHED_FIFO, &parameter));
    SHOW(sched_yield());
    cpu_set_t set;
    SHOW(sched_getaffinity(0, sizeof set, &set));
    IS(CPU_COUNT(&set) >= 1);
    SHOW(sched_setaffinity(0, sizeof set, &set));
    SHOW(syscall(SYS_sched_getaffinity, 0, 1, &set));
    CPU_ZERO(&set);
    SHOW(sched_setaffinity(0, sizeof set, &set));
    SHOW(syscall(SYS_sched_getaffinity, 0, sizeof set, 8));
}

static void process_control(void) {
    title("prctl");
    char name[17] = {0};
    SHOW(prctl(PR_SET_NAME, "fresh"));
    SHOW(prctl(PR_GET_NAME, name));
    printf("name %s\n", name);
    SHOW(prctl(PR_SET_NAME, 8));
    SHOW(prctl(PR_GET_PDEATHSIG, name));
    SHOW(prctl(PR_SET_PDEATHSIG, 99));
    SHOW(prctl(PR_SET_PDEATHSIG, SIGUSR1));
    int signal = 0;
    SHOW(prctl(PR_GET_PDEATHSIG, &signal));
    printf("signal %d\n", signal);
    SHOW(prctl(PR_SET_PDEATHSIG, 0));
    SHOW(prctl(PR_GET_DUMPABLE));
    SHOW(prctl(PR_SET_DUMPABLE, 0));
    SHOW(prctl(PR_GET_DUMPABLE));
    SHOW(prctl(PR_SET_DUMPABLE, 5));
    SHOW(prctl(PR_SET_CHILD_SUBREAPER, 1));
    SHOW(prctl(PR_GET_CHILD_SUBREAPER, &signal));
    printf("reaper %d\n", signal);
    SHOW(prctl(PR_GET_TIMERSLACK) > 0);
    SHOW(prctl(99999, 1, 2, 3, 4));
    SHOW(personality(0xffffffff));
}

static void telling(void) {
    title("the system");
    struct utsname name;
    SHOW(uname(&name));
    printf("%s %s\n", name.sysname, name.machine);
    SHOW(syscall(SYS_uname, 8));
    struct sysinfo info;
    SHOW(sysinfo(&info));
    IS(info.totalram > 0 && info.mem_unit > 0 && info.uptime > 0);
    SHOW(syscall(SYS_sysinfo, 8));
    unsigned char bytes[300] = {0}, or = 0;
    SHOW(getrandom(bytes, sizeof bytes, 0));
    for (size_t i = 0; i < sizeof bytes; i++)
        or |= bytes[i];
    IS(or == 0xff);
    SHOW(getrandom(bytes, 10, GRND_NONBLOCK | GRND_RANDOM) > 0 || errno == EAGAIN);
    SHOW(getrandom(bytes, 10, 0x80));
    SHOW(syscall(SYS_getrandom, 8, 10, 0));
    SHOW(syscall(SYS_getrandom, 8, 0, 0));
    SHOW(syscall(SYS_sethostname, "x", -1));
    SHOW(syscall(SYS_sethostname, "other", 5));
    IS(sysconf(_SC_PAGESIZE) == 4096);
    IS(sysconf(_SC_CLK_TCK) == 100);
    SHOW(syscall(SYS_membarrier, 0, 0, 0) > 0);
    SHOW(syscall(SYS_membarrier, 12345, 0, 0));
}

int main(int argc, char **argv) {
    if (argc > 1) {
        struct rlimit limit;
        title(argv[1]);
        SHOW(getrlimit(RLIMIT_NOFILE, &limit));
        printf("after exec %lu %lu\n", limit.rlim_cur, limit.rlim_max);
        SHOW(getrlimit(RLIMIT_STACK, &limit));
        printf("after exec %lu %lu\n", limit.rlim_cur, limit.rlim_max);
        return 0;
    }
    sizes();
    data();
    locking();
    limits();
    priorities();
    process_control();
    telling();
    return 0;
}
