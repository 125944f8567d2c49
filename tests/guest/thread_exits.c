/* In which order threads may end: main first, exit from a thread, exec and death with threads
 * about. */
#include "check.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>

static pthread_t main_thread;

static void *outlive(void *unused) {
    void *result = NULL;
    pthread_join(main_thread, &result);
    printf("main is gone, left %ld\n", (long)result);
    fflush(stdout);
    exit((int)(long)unused);
}
static void *forever(void *unused) {
    for (;;)
        pause();
    return unused;
}
static void *spinning(void *unused) {
    for (volatile long i = 0;; i++)
        ;
    return unused;
}
static void *leaving(void *code) {
    pause_ms(10);
    printf("a thread exits\n");
    fflush(stdout);
    exit((int)(long)code);
}
static void *group(void *code) {
    syscall(SYS_exit_group, (long)code);
    return NULL;
}
static void *running(void *unused) {
    char *arguments[] = {"/proc/self/exe", "after-exec", NULL}, *none[] = {NULL};
    execve("/proc/self/exe", arguments, none);
    printf("exec: %s\n", error_name(errno));
    return unused;
}
static void *faulting(void *unused) {
    *(volatile int *)8 = 1;
    return unused;
}
static void *killing(void *signal) {
    kill(getpid(), (int)(long)signal);
    return forever(NULL);
}
/* Outlives the first thread, whose end it cannot wait for in any other way. */
static volatile int main_leaves;
static void *quiet(void *unused) {
    while (!main_leaves)
        usleep(1000);
    usleep(300000);
    return unused;
}

enum how { MAIN_LEAVES, MAIN_RETURNS, MAIN_WAITS };
static void scenario(const char *name, void *(*body)(void *), long argument, enum how how) {
    pid_t child = fork_flushed();
    if (!child) {
        pthread_t thread;
        alarm(20);
        main_thread = pthread_self();
        pthread_create(&thread, NULL, forever, NULL);
        pthread_create(&thread, NULL, spinning, NULL);
        pthread_create(&thread, NULL, body, (void *)argument);
        if (how == MAIN_LEAVES)
            pthread_exit((void *)77l);
        if (how == MAIN_WAITS)
            pthread_join(thread, NULL);
        leave_child(5);
    }
    reap(name, child);
}

/* The last thread's code counts when all end by themselves. */
static void last_one(void) {
    pid_t child = fork_flushed();
    if (!child) {
        pthread_t thread;
        for (int i = 0; i < 4; i++)
            pthread_create(&thread, NULL, quiet, NULL);
        main_leaves = 1;
        syscall(SYS_exit, 9);
    }
    reap("raw exit of main", child);
}

/* The kernel clears and wakes the tid word of a thread that is gone. */
static int child_tid;
static char raw_stack[16384] __attribute__((aligned(16)));
static int raw(void *unused) {
    (void)unused;
    pause_ms(20);
    return 0;
}
static void clear_tid(void) {
    int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | CLONE_PARENT_SETTID;
    int parent_tid = 0;
    child_tid = -1;
    int tid =
        MUST(clone(raw, raw_stack + sizeof raw_stack, flags, NULL, &parent_tid, NULL, &child_tid));
    printf("parent's word %d\n", parent_tid == tid);
    for (int value; (value = __atomic_load_n(&child_tid, __ATOMIC_ACQUIRE)) != 0;)
        syscall(SYS_futex, &child_tid, FUTEX_WAIT, value, NULL, NULL, 0);
    printf("cleared %d\n", child_tid);
}

int main(int argc, char **argv) {
    if (argc > 1) {
        printf("%s: one thread only\n", argv[1]);
        SHOW(syscall(SYS_tgkill, getpid(), gettid(), 0));
        IS(getpid() == gettid());
        return 21;
    }
    scenario("main leaves first", outlive, 11, MAIN_LEAVES);
    scenario("exit in a thread", leaving, 12, MAIN_WAITS);
    scenario("exit_group in a thread", group, 13, MAIN_WAITS);
    scenario("main returns", forever, 0, MAIN_RETURNS);
    scenario("exec in a thread", running, 0, MAIN_WAITS);
    scenario("fault in a thread", faulting, 0, MAIN_WAITS);
    scenario("SIGTERM from a thread", killing, SIGTERM, MAIN_WAITS);
    scenario("SIGKILL from a thread", killing, SIGKILL, MAIN_WAITS);
    last_one();
    clear_tid();
    return 0;
}
