/* Which files can be executed and which not, by path, descriptor and script, from threads and at
 * size limits, and what a program finds when it starts. */
#include "check.h"
#include <pthread.h>
#include <spawn.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define EMPTY_PATH 0x1000
#define FIXED_FD 90 /* where descriptors whose number is shown are put */

extern char **environ;
static char own_path[4096];

/* The other role of this program: shows how it was started. */
static int show_start(int argc, char **argv) {
    for (int i = 0; i < argc && i < 8; i++)
        printf("[%.40s]", argv[i]);
    printf(" argc %d\n", argc);
    char name[16];
    prctl(PR_GET_NAME, name);
    const char *executed = (const char *)getauxval(AT_EXECFN);
    ssize_t length = readlink("/proc/self/exe", own_path, sizeof own_path - 1);
    own_path[length < 0 ? 0 : length] = 0;
    if (strcmp(executed, own_path) == 0)
        printf("executed by its path\n");
    else if (strncmp(executed, "/dev/fd/", 8) == 0) /* Linux 6.1 names these by the number */
        printf("executed as %s\n", executed);
    else
        printf("name %s, executed as %s\n", name, executed);
    printf("platform %s, secure %lu, page size %lu\n", (char *)getauxval(AT_PLATFORM),
           getauxval(AT_SECURE), getauxval(AT_PAGESZ));
    IS(getauxval(AT_PHDR) && getauxval(AT_PHNUM) && getauxval(AT_ENTRY) && getauxval(AT_RANDOM));
    IS(getauxval(AT_UID) == getuid() && getauxval(AT_EGID) == getegid());
    IS(getauxval(AT_MINSIGSTKSZ) > 1000);
    sigset_t mask, pending;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    sigpending(&pending);
    printf("USR1 blocked %d pending %d, USR2 blocked %d\n", sigismember(&mask, SIGUSR1),
           sigismember(&pending, SIGUSR1), sigismember(&mask, SIGUSR2));
    static const int shown[] = {SIGHUP, SIGALRM, SIGSEGV, SIGCHLD};
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        struct sigaction action;
        sigaction(shown[i], NULL, &action);
        printf("%s %s\n", sigabbrev_np(shown[i]),
               action.sa_handler == SIG_IGN ? "ignored"
               : action.sa_handler          ? "CAUGHT"
                                            : "default");
    }
    stack_t stack;
    sigaltstack(NULL, &stack);
    printf("alternate stack %s\n", stack.ss_flags & SS_DISABLE ? "none" : "SET");
    for (int fd = 50; fd < FIXED_FD; fd++)
        if (fcntl(fd, F_GETFD) != -1)
            printf("descriptor %d is open\n", fd);
    return argc > 2 ? 7 : 0;
}

static void put(const char *path, const void *content, size_t size, mode_t mode) {
    int fd = MUST(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0700));
    MUST(write(fd, content, size));
    MUST(fchmod(fd, mode));
    close(fd);
}
static void put_text(const char *path, const char *text) {
    put(path, text, strlen(text), 0755);
}

static long execute_at(int fd, const char *path, int flags) {
    char *argv[] = {"zero", "show", NULL};
    return syscall(SYS_execveat, fd, path, argv, environ, flags);
}
static int execute(const char *path) {
    return execl(path, "zero", "show", NULL);
}

/* Runs statements in a child and shows how it ended. */
#define CHILD(name, ...)                                                                           \
    do {                                                                                           \
        pid_t child_ = fork_flushed();                                                             \
        if (!child_) {                                                                             \
            __VA_ARGS__;                                                                           \
            printf("not executed: %s\n", error_name(errno));                                       \
            leave_child(99);                                                                       \
        }                                                                                          \
        reap(name, child_);                                                                        \
    } while (0)

static void refused_paths(void) {
    title("refused paths");
    SHOW(execute("/no/such/file"));
    SHOW(execute(""));
    SHOW(execute("/tmp"));
    SHOW(execute("/etc/passwd"));
    SHOW(execute("/etc/passwd/below"));
    SHOW(execute("/dev/null"));
    MUST(mkfifo("fifo", 0755));
    SHOW(execute("./fifo"));
    MUST(symlink("second", "first"));
    MUST(symlink("first", "second"));
    SHOW(execute("./first"));
    static char name[5000];
    memset(name, 'a', sizeof name - 1);
    IS(execute(name) == -1 && errno == ENAMETOOLONG);
    name[300] = 0;
    IS(execute(name) == -1 && errno == ENAMETOOLONG);
    SHOW(execute_at(AT_FDCWD, "/bin/true", 0x40));
    SHOW(execute_at(77, "x", 0));
    SHOW(execute_at(-5, "x", 0));
    SHOW(execute_at(0, "", 0));
    SHOW(execute_at(AT_FDCWD, "", EMPTY_PATH));
    SHOW(execute_at(FIXED_FD - 1, "", EMPTY_PATH));
    MUST(symlink("/bin/true", "link"));
    SHOW(execute_at(AT_FDCWD, "link", AT_SYMLINK_NOFOLLOW));
}

static void refused_pointers(void) {
    title("refused pointers");
    char *good[] = {"zero", NULL}, *bad[] = {(char *)16, NULL};
    SHOW(syscall(SYS_execve, 8, good, environ));
    SHOW(syscall(SYS_execve, "/bin/true", 8, environ));
    SHOW(syscall(SYS_execve, "/bin/true", bad, environ));
    SHOW(syscall(SYS_execve, "/bin/true", good, 16));
    SHOW(syscall(SYS_execve, "/bin/true", 0x4000000000001000, environ));
    SHOW(syscall(SYS_execve, "/bin/true", -4096l, environ));
    SHOW(syscall(SYS_execve, -1l, good, environ));
}

static void refused_files(void) {
    title("refused files");
    put_text("empty", "");
    SHOW(execute("./empty"));
    put_text("text", "hello\n");
    SHOW(execute("./text"));
    put("header", "\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0\076\0", 20, 0755);
    SHOW(execute("./header"));
    put("locked", "#!/bin/sh\n", 10, 0644);
    SHOW(execute("./locked"));
    static char program[300000];
    int fd = MUST(open("/bin/true", O_RDONLY));
    size_t size = (size_t)MUST(read(fd, program, sizeof program));
    close(fd);
    put("cut", program, 40, 0755);
    SHOW(execute("./cut"));
    char *loader = memmem(program, size, "/lib64/ld-linux", 15);
    if (loader) {
        static const char *const others[] = {"/no/loader", "/etc/passwd", "./text", "/tmp"};
        for (int i = 0; i < 4; i++) {
            strcpy(loader, others[i]);
            put("other", program, size, 0755);
            printf("loader %s: ", others[i]);
            SHOW(execute("./other"));
        }
    }
    program[18] = (char)0xb7; /* aarch64 */
    put("foreign", program, size, 0755);
    SHOW(execute("./foreign"));
}

static void scripts(void) {
    title("scripts");
    put_text("lost", "#!/no/such\n");
    SHOW(execute("./lost"));
    put_text("directory", "#!/tmp\n");
    SHOW(execute("./directory"));
    put_text("nobody", "#!\n");
    SHOW(execute("./nobody"));
    put_text("itself", "#!./itself\n");
    SHOW(execute("./itself"));
    put_text("s1", "#!./me show\n");
    CHILD("script", execl("./s1", "zero", "one", "two", NULL));
    put_text("s2", "#! \t./s1  a b  c \t\nrest");
    CHILD("script of a script", execl("./s2", "zero", "one", NULL));
    put_text("s3", "#!./s2");
    put_text("s4", "#!./s3");
    put_text("s5", "#!./s4");
    put_text("s6", "#!./s5");
    CHILD("five deep", execl("./s5", "zero", NULL));
    CHILD("six deep", execl("./s6", "zero", NULL));
    char line[300] = "#!";
    memset(line + 2, 'x', 270);
    put_text("long", line);
    SHOW(execute("./long")); /* the interpreter's name may be cut off */
    memcpy(line + 2, "./me show ", 10);
    put_text("long", line);
    CHILD("long argument", execl("./long", "zero", NULL));
}

static void descriptors(void) {
    title("descriptors");
    MUST(dup2(MUST(open(own_path, O_RDONLY)), FIXED_FD));
    CHILD("by descriptor", execute_at(FIXED_FD, "", EMPTY_PATH));
    MUST(dup3(MUST(open(own_path, O_PATH)), FIXED_FD, O_CLOEXEC));
    CHILD("by path descriptor", execute_at(FIXED_FD, "", EMPTY_PATH));
    MUST(dup2(MUST(open("s1", O_RDONLY)), FIXED_FD));
    CHILD("script by descriptor", execute_at(FIXED_FD, "", EMPTY_PATH));
    MUST(dup3(FIXED_FD, FIXED_FD + 1, O_CLOEXEC));
    SHOW(execute_at(FIXED_FD + 1, "", EMPTY_PATH));
    MUST(dup2(MUST(open(".", O_RDONLY | O_DIRECTORY)), FIXED_FD));
    SHOW(execute_at(FIXED_FD, "", EMPTY_PATH));
    CHILD("beneath a descriptor", execute_at(FIXED_FD, "me", 0));
    CHILD("script beneath a descriptor", execute_at(FIXED_FD, "s1", 0));
    close(FIXED_FD);
    CHILD("/proc/self/exe", execute("/proc/self/exe"));
    CHILD("close on exec", MUST(dup2(1, 60)); MUST(dup3(1, 61, O_CLOEXEC)); execute(own_path));
    struct rlimit few = {70, 70};
    CHILD("every descriptor in use", MUST(setrlimit(RLIMIT_NOFILE, &few));
          while (open("/dev/null", O_RDONLY | O_CLOEXEC) != -1); errno = 0; execute(own_path));
}

static void sizes(void) {
    title("sizes");
    static char big[140000];
    memset(big, 'x', sizeof big - 1);
    SHOW(execl("/bin/true", big, NULL));
    big[131071] = 0;
    CHILD("128 KiB", execl(own_path, "zero", "show", big, NULL));
    static char *many[100001];
    struct rlimit eight = {8 << 20, RLIM_INFINITY};
    setrlimit(RLIMIT_STACK, &eight);
    many[0] = "zero";
    many[1] = "show";
    for (int i = 2; i < 20; i++)
        many[i] = big;
    SHOW(execv("/bin/true", many));
    many[15] = NULL;
    CHILD("1.7 MB", execv(own_path, many));
    for (int i = 2; i < 100000; i++)
        many[i] = "";
    CHILD("100,000 strings", execv(own_path, many));
    CHILD("no arguments at all", syscall(SYS_execve, own_path, NULL, NULL));
}

static void caught(int signal) {
    (void)signal;
}

static void inherited(void) {
    title("inherited");
    static char stack_memory[65536];
    CHILD("signals", sigset_t set; sigemptyset(&set); sigaddset(&set, SIGUSR1);
          sigprocmask(SIG_BLOCK, &set, NULL); signal(SIGHUP, SIG_IGN); signal(SIGSEGV, SIG_IGN);
          signal(SIGALRM, caught); raise(SIGUSR1);
          stack_t stack = {.ss_sp = stack_memory, .ss_size = sizeof stack_memory};
          sigaltstack(&stack, NULL); execute(own_path));
    CHILD("environment", char *env[] = {"A=1", "B=", NULL};
          execle("/bin/sh", "sh", "-c", "echo \"$A-$B-$HOME\"", NULL, env));
}

static void *execute_in_thread(void *unused) {
    (void)unused;
    execute("/no/such/file");
    execute(own_path);
    return NULL;
}
static void *wait_forever(void *unused) {
    for (;;)
        pause();
    return unused;
}

static void threads(void) {
    title("threads");
    pthread_t thread;
    CHILD("from a thread", pthread_create(&thread, NULL, wait_forever, NULL);
          pthread_create(&thread, NULL, execute_in_thread, NULL); wait_forever(NULL));
    CHILD("from the first",
          for (int i = 0; i < 4; i++) pthread_create(&thread, NULL, wait_forever, NULL);
          SHOW(execute("/no/such/file")); fflush(stdout); execute(own_path));
}

static void spawned(void) {
    title("posix_spawn");
    char *argv[] = {"zero", "show", NULL};
    pid_t child;
    fflush(stdout);
    IS(posix_spawn(&child, own_path, NULL, NULL, argv, environ) == 0);
    reap("spawned", child);
    IS(posix_spawn(&child, "/no/such/file", NULL, NULL, argv, environ) == ENOENT);
    IS(posix_spawn(&child, "./text", NULL, NULL, argv, environ) == ENOEXEC);
    for (int i = 0; i < 20; i++) {
        char *quiet[] = {"true", NULL};
        int status = -1;
        MUST(-!!posix_spawn(&child, "/bin/true", NULL, NULL, quiet, environ));
        waitpid(child, &status, 0);
        if (status)
            printf("spawn %d: status %x\n", i, status);
    }
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    if (getenv("PROGRAMS_CHILD") || !argv[0][0])
        return show_start(argc, argv);
    setenv("PROGRAMS_CHILD", "1", 1);
    ssize_t length = MUST(readlink("/proc/self/exe", own_path, sizeof own_path - 1));
    own_path[length] = 0;
    enter_directory();
    MUST(symlink(own_path, "me"));
    refused_paths();
    refused_pointers();
    refused_files();
    scripts();
    descriptors();
    sizes();
    inherited();
    threads();
    spawned();
    check_leave();
    return 0;
}
