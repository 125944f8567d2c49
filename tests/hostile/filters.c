/* Under a policy (filters.toml) that denies making directories and sending messages: by other ways
 * into the kernel, by filters of the program's own, by the number that a filter may exempt, and
 * while whoever decides is asked by many who are killed meanwhile. */
#include "hostile.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/resource.h>

#define PLACE "/tmp/denied"
#define X32 0x40000000l

static bool denied(void) {
    return mkdir(PLACE, 0700) == -1 && errno == EPERM;
}

static bool denied_to_child(long child) {
    int status = 0;
    if (!child)
        _exit(!denied());
    return waitpid((pid_t)child, &status, 0) == child && status == 0;
}

static void *denied_to_thread(void *unused) {
    (void)unused;
    return denied() ? "yes" : NULL;
}

static void descendants(char *self) {
    pthread_t thread;
    void *answer = NULL;
    IS(denied());
    IS(denied_to_child(fork_flushed()));
    IS(denied_to_child(vfork()));
    MUST(pthread_create(&thread, NULL, denied_to_thread, NULL) ? -1 : 0);
    MUST(pthread_join(thread, &answer) ? -1 : 0);
    IS(answer != NULL);
    pid_t child = fork_flushed();
    if (!child)
        execl("/proc/self/exe", self, "again", NULL);
    reap("executed anew", child);
}

static void by_interrupt(void) {
    static char low[4096] __attribute__((aligned(4096))) = PLACE; /* the program lies below 4 GiB */
    long result = 39;
    __asm__ volatile("int $0x80" : "+a"(result) : "b"(low), "c"(0700) : "memory");
}

static void by_x32(void) {
    syscall(X32 | SYS_mkdir, PLACE, 0700);
}

static void by_upper_bits(void) {
    syscall(1l << 32 | SYS_mkdir, PLACE, 0700);
}

static long filter_with(unsigned flags, unsigned action) {
    struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, action)};
    struct sock_fprog program = {1, code};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

static void by_listener(void) {
    IS(filter_with(SECCOMP_FILTER_FLAG_NEW_LISTENER, SECCOMP_RET_USER_NOTIF) == -1);
}

static void by_allowing_filter(void) {
    filter_with(0, SECCOMP_RET_ALLOW);
    filter_with(SECCOMP_FILTER_FLAG_TSYNC, SECCOMP_RET_LOG);
    IS(denied());
}

static void by_lying_filter(void) {
    filter_with(0, SECCOMP_RET_ERRNO);
    mkdir(PLACE, 0700);
}

/* Whatever the number of the descriptor, and however high it may be raised. */
static void messages(void) {
    struct msghdr message = {0};
    struct rlimit most = {1 << 20, 1 << 20};
    int strange = 0;
    setrlimit(RLIMIT_NOFILE, &most);
    MUST(getrlimit(RLIMIT_NOFILE, &most));
    most.rlim_cur = most.rlim_max;
    MUST(setrlimit(RLIMIT_NOFILE, &most));
    for (int fd = 0; fd < (int)most.rlim_max + 2000;
         fd += fd < (int)most.rlim_max - 1000 ? 97 : 1) {
        dup2(1, fd > 2 ? fd : 3);
        strange += sendmsg(fd, &message, MSG_NOSIGNAL) != -1 || (errno != EPERM && errno != EBADF);
    }
    IS(strange == 0);
}

static void *asking(void *unused) {
    for (;;)
        if (!denied())
            printf("OUT of order: %s\n", error_name(errno));
    return unused;
}

/* Threads and processes that end, by themselves or by force, while they wait for an answer. */
static void flood(void) {
    for (int64_t end = now_ms() + 2000; now_ms() < end;) {
        pthread_t thread;
        pid_t child = fork_flushed();
        if (!child) {
            for (int i = 0; i < 4; i++)
                pthread_create(&thread, NULL, asking, NULL);
            pause_ms(getpid() % 7);
            _exit(0);
        }
        if (child % 2)
            kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
}

int main(int argc, char **argv) {
    if (argc > 1)
        return denied() ? 0 : 1;
    descendants(argv[0]);
    in_child("interrupt", by_interrupt, 5);
    in_child("x32", by_x32, 5);
    in_child("upper bits", by_upper_bits, 5);
    in_child("listener", by_listener, 5);
    in_child("allowing filter", by_allowing_filter, 5);
    in_child("lying filter", by_lying_filter, 5);
    in_child("messages", messages, 20);
    in_child("flood", flood, 20);
    IS(denied());
    IS(access(PLACE, F_OK) == -1);
    survived();
    return 0;
}
