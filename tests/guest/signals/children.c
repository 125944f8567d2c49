/* Signals between processes: default ends, SIGCHLD, groups, SIGKILL, stop and continue, exec. */
#include "../check.h"
#include <sys/prctl.h>
#include <sys/resource.h>

static volatile int count, last_code, last_status;

static void on_child(int number, siginfo_t *info, void *context) {
    (void)number;
    (void)context;
    count++;
    last_code = info->si_code;
    last_status = info->si_status;
}

static void defaults(void) {
    title("default ends");
    static const int numbers[] = {
        SIGHUP,  SIGINT,  SIGQUIT, SIGILL,    SIGTRAP, SIGABRT,  SIGBUS,    SIGFPE,  SIGKILL,
        SIGUSR1, SIGSEGV, SIGUSR2, SIGPIPE,   SIGALRM, SIGTERM,  SIGSTKFLT, SIGCHLD, SIGCONT,
        SIGURG,  SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF, SIGWINCH, SIGIO,     SIGPWR,  SIGSYS};
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        for (int by = 0; by < 2; by++) {
            pid_t child = fork_flushed();
            if (!child) {
                if (by == 0)
                    raise(numbers[i]);
                else
                    for (int j = 0; j < 60; j++)
                        pause_ms(1);
                leave_child(0);
            }
            if (by == 1)
                kill(child, numbers[i]);
            reap(by ? "killed" : "raised", child);
        }
    }
    pid_t child = fork_flushed();
    if (!child) {
        raise(SIGRTMIN + 5);
        leave_child(0);
    }
    int status;
    MUST(waitpid(child, &status, 0));
    printf("real-time %d core %d\n", WTERMSIG(status) == SIGRTMIN + 5, WCOREDUMP(status) != 0);
}

static void busy(void) {
    title("killing a busy child");
    for (int i = 0; i < 3; i++) {
        pid_t child = fork_flushed();
        if (!child)
            for (;;)
                ;
        pause_ms(20);
        kill(child, i == 0 ? SIGKILL : i == 1 ? SIGTERM : SIGSTOP);
        if (i == 2) {
            int status;
            MUST(waitpid(child, &status, WUNTRACED));
            show_status("busy", status);
            kill(child, SIGKILL);
        }
        reap("busy", child);
    }
    int fd[2];
    char ready;
    MUST(pipe(fd));
    pid_t child = fork_flushed();
    if (!child) {
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_BLOCK, &all, NULL);
        MUST(write(fd[1], "r", 1));
        for (;;)
            pause();
    }
    MUST(read(fd[0], &ready, 1));
    close(fd[0]), close(fd[1]);
    kill(child, SIGTERM);
    kill(child, SIGKILL);
    reap("all blocked", child);
    SHOW(kill(child, SIGKILL));
}

static void storms(void) {
    title("SIGCHLD");
    struct sigaction action = {.sa_sigaction = on_child, .sa_flags = SA_SIGINFO | SA_RESTART};
    MUST(sigaction(SIGCHLD, &action, NULL));
    count = 0;
    int reaped = 0, sum = 0;
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 8; i++)
            if (!fork_flushed())
                _exit(i);
        int status;
        while (reaped < (round + 1) * 8 && wait(&status) > 0) {
            reaped++;
            sum += WEXITSTATUS(status);
        }
    }
    printf("reaped %d sum %d signalled %d\n", reaped, sum, count > 0 && count <= 40);
    count = 0;
    pid_t child = fork_flushed();
    if (!child)
        _exit(7);
    while (!count)
        pause_ms(1);
    printf("code %d status %d\n", last_code, last_status);
    reap("child", child);
    count = 0;
    child = fork_flushed();
    if (!child) {
        raise(SIGSTOP);
        raise(SIGTERM);
    }
    while (!count)
        pause_ms(1);
    printf("code %d status %d\n", last_code, last_status);
    count = 0;
    kill(child, SIGCONT);
    reap("child", child); /* news of both changes may have been merged */
    printf("code known %d\n", last_code == CLD_CONTINUED || last_code == CLD_KILLED);
    action.sa_flags |= SA_NOCLDSTOP;
    MUST(sigaction(SIGCHLD, &action, NULL));
    count = 0;
    child = fork_flushed();
    if (!child) {
        raise(SIGSTOP);
        _exit(0);
    }
    int status;
    MUST(waitpid(child, &status, WUNTRACED));
    printf("no news of the stop: %d\n", count == 0);
    kill(child, SIGCONT);
    reap("child", child);
    while (!count)
        pause_ms(1);
    action.sa_flags = SA_NOCLDWAIT | SA_SIGINFO;
    MUST(sigaction(SIGCHLD, &action, NULL));
    count = 0;
    child = fork_flushed();
    if (!child)
        _exit(0);
    while (!count)
        pause_ms(1);
    SHOW(waitpid(child, NULL, 0));
    signal(SIGCHLD, SIG_IGN);
    child = fork_flushed();
    if (!child)
        _exit(0);
    SHOW(waitpid(child, NULL, 0));
    signal(SIGCHLD, SIG_DFL);
}

static volatile int continued;
static void on_continue(int number) {
    continued = number;
}

static void groups(void) {
    title("groups");
    pid_t child = fork_flushed();
    if (!child) {
        setpgid(0, 0);
        pid_t members[3];
        int fd[2];
        char ready;
        MUST(pipe(fd));
        for (int i = 0; i < 3; i++) {
            members[i] = fork();
            if (!members[i]) {
                if (i == 1)
                    signal(SIGTERM, SIG_IGN);
                MUST(write(fd[1], "r", 1));
                for (;;)
                    pause();
            }
        }
        signal(SIGTERM, SIG_IGN);
        for (int i = 0; i < 3; i++)
            MUST(read(fd[0], &ready, 1));
        SHOW(kill(0, SIGTERM));
        reap("member 0", members[0]);
        reap("member 2", members[2]);
        SHOW(waitpid(members[1], NULL, WNOHANG));
        SHOW(kill(-getpgrp(), SIGUSR1)); /* ends us as well */
        leave_child(0);
    }
    reap("leader", child);
    signal(SIGCONT, on_continue);
    raise(SIGCONT);
    printf("continue handled %d\n", continued == SIGCONT);
    signal(SIGCONT, SIG_DFL);
    child = fork_flushed();
    if (!child) {
        setpgid(0, 0);
        signal(SIGTSTP, on_continue);
        raise(SIGTSTP);
        printf("stop handled %d\n", continued == SIGTSTP);
        signal(SIGCONT, on_continue);
        raise(SIGSTOP);
        printf("continue handled %d\n", continued == SIGCONT);
        leave_child(3);
    }
    int status;
    MUST(waitpid(child, &status, WUNTRACED));
    show_status("child", status);
    kill(child, SIGCONT);
    reap("child", child);
}

static void broken_pipe(void) {
    title("SIGPIPE");
    int fd[2];
    MUST(pipe(fd));
    close(fd[0]);
    pid_t child = fork_flushed();
    if (!child) {
        MUST(write(fd[1], "x", 1));
        leave_child(0);
    }
    reap("default", child);
    signal(SIGPIPE, SIG_IGN);
    SHOW(write(fd[1], "x", 1));
    continued = 0;
    signal(SIGPIPE, on_continue);
    SHOW(write(fd[1], "x", 1));
    IS(continued == SIGPIPE);
    signal(SIGPIPE, SIG_DFL);
}

static void report(void) {
    char text[256];
    int length = 0;
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    sigset_t pending;
    sigpending(&pending);
    for (int i = 1; i < 32; i++) {
        struct sigaction action;
        if (sigaction(i, NULL, &action) == 0 && action.sa_handler != SIG_DFL)
            length += sprintf(text + length, " %s%s", sigabbrev_np(i),
                              action.sa_handler == SIG_IGN ? "-ignored" : "-handled");
        if (sigismember(&mask, i))
            length += sprintf(text + length, " %s-blocked", sigabbrev_np(i));
        if (sigismember(&pending, i))
            length += sprintf(text + length, " %s-pending", sigabbrev_np(i));
    }
    text[length] = 0;
    printf("after exec:%s\n", text);
}

static void executing(const char *self) {
    title("exec");
    pid_t child = fork_flushed();
    if (!child) {
        signal(SIGUSR1, SIG_IGN);
        signal(SIGSEGV, SIG_IGN);
        signal(SIGSTKFLT, SIG_IGN);
        signal(SIGUSR2, on_continue);
        sigset_t some;
        sigemptyset(&some);
        sigaddset(&some, SIGTERM);
        sigaddset(&some, SIGHUP);
        sigaddset(&some, SIGUSR2);
        sigprocmask(SIG_BLOCK, &some, NULL);
        raise(SIGTERM);
        raise(SIGUSR2);
        execl(self, self, "report", NULL);
        leave_child(9);
    }
    reap("program", child);
    /* A storm while programs replace each other: none is lost, none hits the next program's memory.
     */
    sigset_t some, old;
    sigemptyset(&some);
    sigaddset(&some, SIGUSR1);
    sigprocmask(SIG_BLOCK, &some, &old);
    signal(SIGALRM, SIG_IGN);
    child = fork_flushed();
    if (!child) {
        execl(self, self, "again", "9", NULL);
        leave_child(9);
    }
    for (int i = 0; i < 50; i++) {
        kill(child, SIGALRM);
        kill(child, SIGURG);
        kill(child, SIGUSR1);
        pause_ms(1);
    }
    signal(SIGALRM, SIG_DFL);
    sigprocmask(SIG_SETMASK, &old, NULL);
    reap("again", child);
}

static void deadly(void) {
    title("parent's death");
    int fd[2];
    MUST(pipe(fd));
    pid_t child = fork_flushed();
    if (!child) {
        pid_t grandchild = fork();
        if (!grandchild) {
            struct sigaction action = {.sa_handler = on_continue};
            sigaction(SIGUSR1, &action, NULL);
            prctl(PR_SET_PDEATHSIG, SIGUSR1);
            MUST(write(fd[1], "r", 1));
            while (!continued)
                pause_ms(1);
            MUST(write(fd[1], continued == SIGUSR1 ? "y" : "n", 1));
            _exit(0);
        }
        char ready;
        MUST(read(fd[0], &ready, 1));
        _exit(0);
    }
    reap("parent", child);
    char answer = 0;
    MUST(read(fd[0], &answer, 1));
    printf("told: %c\n", answer);
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1 && !strcmp(argv[1], "report")) {
        report();
        return 0;
    }
    if (argc > 2 && !strcmp(argv[1], "again")) {
        char next[] = {(char)(argv[2][0] - 1), 0};
        if (next[0] > '0') {
            execl(argv[0], argv[0], "again", next, NULL);
            return 9;
        }
        pause_ms(100);
        report();
        return 0;
    }
    defaults();
    busy();
    storms();
    groups();
    broken_pipe();
    executing(argv[0]);
    continued = 0;
    deadly();
    return 0;
}
