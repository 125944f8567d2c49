/* The stack: growth, overflow with and without an alternate stack, thread guards. */
#include "check.h"
#include <pthread.h>
#include <setjmp.h>
#include <sys/resource.h>

static long use(int pages) {
    volatile char space[4096];
    space[0] = (char)pages;
    return pages ? use(pages - 1) + space[0] * 0 + 1 : 0;
}
static int endless(int n) {
    volatile char space[1024];
    space[0] = (char)n;
    return endless(n + 1) + space[0];
}
static sigjmp_buf back;
static volatile int code;
static void on_fault(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    code = info->si_code;
    siglongjmp(back, 1);
}
static void with_alternate(const char *name) {
    stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaltstack(&stack, NULL);
    sigaction(SIGSEGV, &action, NULL);
    for (int i = 0; i < 2; i++)
        if (!sigsetjmp(back, 1))
            printf("%d\n", endless(0));
        else
            printf("%s: caught, code %d\n", name, code);
}
static void *in_thread(void *unused) {
    with_alternate("thread overflow");
    return unused;
}

static void leap(void) {
    title("leap");
    char here;
    volatile char *far = (char *)((uintptr_t)&here - (6 << 20));
    *far = 1; /* no red line below RSP inside the limit */
    printf("leap %d\n", *far);
}

int main(void) {
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_STACK, &limit));
    printf("limit at least 8 MiB %d\n", limit.rlim_cur >= 8 << 20);
    title("growth");
    printf("deep %ld\n", use(1700));
    leap();
    title("overflow");
    pid_t child = fork_flushed();
    if (!child)
        leave_child(endless(0));
    reap("without a handler", child);
    child = fork_flushed();
    if (!child) {
        struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
        sigaction(SIGSEGV, &action, NULL);
        leave_child(endless(0));
    }
    reap("no alternate stack", child);
    child = fork_flushed();
    if (!child) {
        with_alternate("main overflow");
        leave_child(0);
    }
    reap("alternate stack", child);
    child = fork_flushed();
    if (!child) {
        pthread_t thread;
        pthread_create(&thread, NULL, in_thread, NULL);
        pthread_join(thread, NULL);
        leave_child(0);
    }
    reap("thread", child);
    child = fork_flushed();
    if (!child) {
        MUST(setrlimit(RLIMIT_STACK, &(struct rlimit){16 << 20, RLIM_INFINITY}));
        char *arguments[] = {"stacks", NULL}, *none[] = {NULL};
        (void)arguments, (void)none;
        printf("bigger limit: %ld\n", use(3500));
        leave_child(0);
    }
    reap("bigger limit", child);
    return 0;
}
