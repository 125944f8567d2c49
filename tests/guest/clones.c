/* fork, vfork and clone: what is shared, what is not, and the errors. */
#include "check.h"
#include <sched.h>

static char stack[64 << 10] __attribute__((aligned(16)));
static volatile int touched;

static int body(void *argument) {
    touched = (int)(long)argument;
    return 7;
}

static void plain(void) {
    title("clone");
    touched = 0;
    reap("copied memory", MUST(clone(body, stack + sizeof stack, SIGCHLD, (void *)5l)));
    printf("touched %d\n", touched);
    reap("shared memory", MUST(clone(body, stack + sizeof stack, CLONE_VM | SIGCHLD, (void *)6l)));
    printf("touched %d\n", touched);
    reap("vfork-like",
         MUST(clone(body, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, (void *)8l)));
    printf("touched %d\n", touched);
    int child = MUST(clone(body, stack + sizeof stack, CLONE_VM | CLONE_VFORK, (void *)9l));
    SHOW(waitpid(child, NULL, 0));
    int status;
    SHOW(waitpid(child, &status, __WALL) == child);
    show_status("without a signal", status);
    SHOW(clone(body, stack + sizeof stack, CLONE_THREAD, NULL));
    SHOW(clone(body, stack + sizeof stack, CLONE_SIGHAND, NULL));
}

static int sharing(void *argument) {
    (void)argument;
    MUST(chdir("/"));
    umask(0);
    close(100);
    return 0;
}
static void files_and_fs(void) {
    title("CLONE_FS");
    char text[64];
    for (int shared = 0; shared < 2; shared++) {
        MUST(chdir("/tmp"));
        umask(022);
        MUST(dup2(1, 100));
        int flags = SIGCHLD | (shared ? CLONE_FS : 0);
        reap("child", MUST(clone(sharing, stack + sizeof stack, flags, NULL)));
        MUST(getcwd(text, sizeof text) ? 0 : -1);
        printf("cwd %s umask %o fd %s\n", text, umask(022),
               fcntl(100, F_GETFD) == -1 ? "closed" : "open");
    }
    close(100);
}

static void vforking(void) {
    title("vfork");
    volatile int seen = 1;
    fflush(stdout);
    pid_t child = vfork();
    if (!child) {
        seen = 2;
        _exit(4);
    }
    printf("the parent waited and sees %d\n", seen);
    reap("vfork", child);
    child = vfork();
    if (!child) {
        execl("/missing", "missing", NULL);
        seen = errno;
        _exit(5);
    }
    printf("exec in vfork: %s\n", error_name(seen));
    reap("vfork", child);
    volatile int count = 0;
    for (volatile int i = 0; i < 50; i++) {
        child = vfork();
        if (!child) {
            count++;
            _exit(i);
        }
        int status;
        waitpid(child, &status, 0);
        count += WEXITSTATUS(status) == i;
    }
    printf("repeated %d\n", count);
}

static void forks(void) {
    title("many forks");
    int sum = 0, count = 0;
    pid_t children[20];
    fflush(stdout);
    for (int i = 0; i < 20; i++) {
        children[i] = fork();
        if (!children[i])
            _exit(i);
    }
    for (int i = 0; i < 20; i++) {
        int status;
        count += waitpid(children[i], &status, 0) == children[i];
        sum += WEXITSTATUS(status);
    }
    printf("children %d sum %d\n", count, sum);
    int depth = 0;
    pid_t child;
    while (depth < 8 && (child = fork_flushed()) == 0)
        depth++;
    if (depth == 8)
        leave_child(1);
    int status;
    waitpid(child, &status, 0);
    if (depth > 0)
        leave_child(WEXITSTATUS(status) + 1);
    printf("nested %d\n", WEXITSTATUS(status));
}

static void detached(void) {
    title("identities");
    pid_t me = getpid(), child = fork_flushed();
    if (!child) {
        printf("parent %d own %d thread %d\n", getppid() == me, getpid() != me,
               gettid() == getpid());
        leave_child(0);
    }
    reap("child", child);
    SHOW(syscall(SYS_set_tid_address, NULL) == gettid());
    SHOW(unshare(CLONE_FILES | CLONE_FS));
    SHOW(unshare(CLONE_THREAD));
    SHOW(unshare(1 << 3));
}

int main(void) {
    alarm(40);
    plain();
    files_and_fs();
    vforking();
    forks();
    detached();
    return 0;
}
