/* wait4, waitid: options, stops and continues, SIGCHLD details, no children, ignored children. */
#include "check.h"
#include <sys/resource.h>

static volatile sig_atomic_t chld_count, chld_code, chld_status;
static void on_child(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    chld_count++;
    chld_code = info->si_code;
    chld_status = info->si_status;
}

static pid_t pausing(void) {
    pid_t child = fork_flushed();
    if (!child)
        for (;;)
            pause();
    return child;
}

static void ends(void) {
    title("ends");
    int status = 123;
    SHOW(wait(&status));
    SHOW(waitpid(-1, &status, WNOHANG));
    SHOW(waitpid(getpid(), &status, 0));
    pid_t child = pausing();
    SHOW(waitpid(child, &status, WNOHANG));
    SHOW(waitpid(child, &status, 0x10000));
    kill(child, SIGUSR1);
    siginfo_t info = {0};
    SHOW(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT));
    printf("signo %d code %d status %d pid %d uid %d\n", info.si_signo, info.si_code,
           info.si_status, info.si_pid == child, info.si_uid);
    SHOW(waitpid(child, &status, WNOHANG) == child);
    show_status("killed", status);
    SHOW(waitid(P_PID, (id_t)child, &info, WEXITED));
    SHOW(waitid(P_ALL, 0, &info, 0));
    SHOW(waitid(77, 0, &info, WEXITED));
    SHOW(syscall(SYS_wait4, -1, 8, WNOHANG, NULL));
    child = fork_flushed();
    if (!child)
        _exit(0x1ff);
    struct rusage usage;
    memset(&usage, 0xee, sizeof usage);
    SHOW(wait4(child, &status, 0, &usage) == child);
    show_status("exit code is a byte", status);
    printf("usage filled %d\n", usage.ru_utime.tv_sec == 0 && usage.ru_maxrss < 1 << 30);
    child = fork_flushed();
    if (!child)
        abort();
    MUST(waitpid(child, &status, 0));
    printf("abort: signal %d\n", WTERMSIG(status));
    child = fork_flushed();
    if (!child)
        _exit(2);
    pause_ms(30);
    SHOW(syscall(SYS_wait4, child, 8, 0, NULL));
}

static void stops(void) {
    title("stops");
    int status;
    struct sigaction action = {.sa_sigaction = on_child, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(SIGCHLD, &action, NULL);
    pid_t child = pausing();
    kill(child, SIGSTOP);
    SHOW(waitpid(child, &status, WUNTRACED) == child);
    show_status("stopped", status);
    printf("SIGCHLD code %d\n", chld_code); /* its status is 0 where waitpid was faster */
    SHOW(waitpid(child, &status, WUNTRACED | WNOHANG));
    kill(child, SIGCONT);
    SHOW(waitpid(child, &status, WCONTINUED) == child);
    show_status("continued", status);
    for (int64_t end = now_ms() + 5000; chld_code != CLD_CONTINUED && now_ms() < end;)
        pause_ms(1); /* the child itself sends it, once it runs */
    printf("SIGCHLD code %d status %d\n", chld_code, chld_status);
    setpgid(child, child); /* in an orphaned group SIGTSTP does nothing */
    kill(child, SIGTSTP);
    siginfo_t info = {0};
    SHOW(waitid(P_PID, (id_t)child, &info, WSTOPPED));
    printf("code %d status %d\n", info.si_code, info.si_status);
    kill(child, SIGKILL);
    reap("killed while stopped", child);
    printf("SIGCHLD code %d status %d\n", chld_code, chld_status);
    action.sa_flags |= SA_NOCLDSTOP;
    sigaction(SIGCHLD, &action, NULL);
    chld_count = 0;
    child = pausing();
    kill(child, SIGSTOP);
    MUST(waitpid(child, &status, WUNTRACED));
    kill(child, SIGCONT);
    MUST(waitpid(child, &status, WCONTINUED));
    printf("no signal for stops: %d\n", chld_count);
    kill(child, SIGKILL);
    reap("killed", child);
    pause_ms(5);
    printf("one for the end: %d\n", chld_count);
}

static void ignored(void) {
    title("ignored");
    int status;
    signal(SIGCHLD, SIG_IGN);
    pid_t child = fork_flushed();
    if (!child)
        _exit(1);
    SHOW(waitpid(child, &status, 0));
    struct sigaction action = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT};
    sigaction(SIGCHLD, &action, NULL);
    child = fork_flushed();
    if (!child)
        _exit(1);
    SHOW(waitpid(child, &status, 0));
    signal(SIGCHLD, SIG_DFL);
}

static void groups(void) {
    title("groups");
    int status;
    pid_t one = pausing();
    SHOW(setpgid(one, one));
    SHOW(getpgid(one) == one);
    pid_t two = pausing();
    SHOW(setpgid(two, one));
    SHOW(setpgid(two, 1 << 21));
    SHOW(setpgid(1 << 21, 0));
    SHOW(setpgid(0, -5));
    SHOW(waitpid(-one, &status, WNOHANG));
    SHOW(kill(-one, SIGTERM));
    int count = 0;
    while (waitpid(-one, &status, 0) > 0)
        count += WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM;
    printf("both ended %d\n", count);
    SHOW(kill(-one, 0));
    SHOW(waitpid(-one, &status, 0));
    SHOW(kill(1 << 21, 0));
    SHOW(kill(getpid(), 0));
    SHOW(kill(getpid(), 65));
    pid_t child = fork_flushed();
    if (!child) {
        SHOW(setsid() == getpid());
        SHOW(setsid());
        SHOW(setpgid(0, 0));
        SHOW(getsid(0) == getpid());
        leave_child(0);
    }
    reap("session", child);
    SHOW(getsid(1 << 21));
    SHOW(getpgid(1 << 21));
}

int main(void) {
    alarm(30);
    ends();
    stops();
    ignored();
    groups();
    return 0;
}
