/* execve and execveat: every error, scripts, arguments, environment, what survives. */
#include "check.h"
#include <elf.h>
#include <sys/prctl.h>

static char *empty[] = {NULL};
static char *self_path = "/proc/self/exe";

static void attempt(const char *name, const char *path, char **arguments, char **environment) {
    pid_t child = fork_flushed();
    if (!child) {
        execve(path, arguments, environment);
        printf("%s: %s\n", name, error_name(errno));
        leave_child(0);
    }
    reap(name, child);
}

static void errors(void) {
    title("errors");
    char *arguments[] = {"x", NULL};
    char shebang[300] = "#!/", elf[200] = "\177ELF";
    attempt("missing", "missing", arguments, empty);
    attempt("empty path", "", arguments, empty);
    attempt("NULL path", NULL, arguments, empty);
    attempt("bad arguments", self_path, (char **)8, empty);
    attempt("bad environment", self_path, arguments, (char **)8);
    char *bad_string[] = {"x", (char *)16, NULL};
    attempt("bad string", self_path, bad_string, empty);
    MUST(mkdir("directory", 0755));
    attempt("directory", "directory", arguments, empty);
    attempt("below a file", "/dev/null/x", arguments, empty);
    attempt("device", "/dev/null", arguments, empty);
    write_file("plain", "text");
    attempt("no permission", "plain", arguments, empty);
    MUST(chmod("plain", 0755));
    attempt("no format", "plain", arguments, empty);
    write_file("nothing", "");
    MUST(chmod("nothing", 0755));
    attempt("empty file", "nothing", arguments, empty);
    write_file("elf", elf);
    MUST(chmod("elf", 0755));
    attempt("cut off ELF", "elf", arguments, empty);
    write_file("script", "#!/missing/interpreter\n");
    MUST(chmod("script", 0755));
    attempt("no interpreter", "script", arguments, empty);
    write_file("loop", "#!./loop\n");
    MUST(chmod("loop", 0755));
    attempt("script of itself", "./loop", arguments, empty);
    memset(shebang + 3, 'a', 280);
    write_file("long", shebang);
    MUST(chmod("long", 0755));
    attempt("long interpreter", "long", arguments, empty);
    write_file("bare", "#!\n");
    MUST(chmod("bare", 0755));
    attempt("bare #!", "bare", arguments, empty);
    MUST(symlink("circle", "circle"));
    attempt("symlink loop", "circle", arguments, empty);
    int writer = MUST(open("busy", O_WRONLY | O_CREAT, 0755));
    attempt("open for writing", "busy", arguments, empty);
    close(writer);
}

static void sizes(void) {
    title("sizes");
    size_t big = 200 << 10;
    char *one = malloc(big), **many = calloc(300, sizeof *many);
    memset(one, 'b', big);
    one[big - 1] = 0;
    char *arguments[] = {"x", one, NULL};
    attempt("one big argument", self_path, arguments, empty);
    one[(128 << 10) - 1] = 0;
    arguments[0] = "count";
    attempt("biggest argument", self_path, arguments, empty);
    many[0] = "count";
    for (int i = 1; i < 100; i++)
        many[i] = one;
    attempt("too many", self_path, many, empty);
    many[8] = NULL;
    attempt("enough", self_path, many, empty);
    for (int i = 1; i < 299; i++)
        many[i] = "arg";
    attempt("299", self_path, many, many + 200);
    attempt("no arguments at all", self_path, empty, empty);
}

static void scripts(void) {
    title("scripts");
    char *arguments[] = {"zero", "one", "two words", NULL};
    char *environment[] = {"A=1", "PATH=/usr/bin:/bin", NULL};
    write_file("script", "#!/bin/sh -e  \necho \"$#:$1:$2:${A}\"\nexit 12\n");
    MUST(chmod("script", 0755));
    attempt("script", "./script", arguments, environment);
    write_file("echoes", "#! /bin/echo first second\n");
    MUST(chmod("echoes", 0755));
    attempt("interpreter's argument", "./echoes", arguments, environment);
    write_file("nested", "#!./echoes third\n");
    MUST(chmod("nested", 0755));
    attempt("nested", "./nested", arguments, environment);
    write_file("no-newline", "#!/bin/echo tail");
    MUST(chmod("no-newline", 0755));
    attempt("no newline", "./no-newline", arguments, environment);
}

static void at_variants(void) {
    title("execveat");
    char *arguments[] = {"count", "a", NULL};
    int self = MUST(open(self_path, O_PATH | O_CLOEXEC)), here = MUST(open(".", O_PATH));
    int script = MUST(open("script", O_RDONLY)),
        closed = MUST(open("script", O_RDONLY | O_CLOEXEC));
    struct {
        const char *name;
        int fd;
        const char *path;
        int flags;
    } tries[] = {
        {"empty path", self, "", AT_EMPTY_PATH},
        {"without the flag", self, "", 0},
        {"relative", here, "script", 0},
        {"bad fd", 700, "script", 0},
        {"script by fd", script, "", AT_EMPTY_PATH},
        {"script, close on exec", closed, "", AT_EMPTY_PATH},
        {"bad flags", here, "script", 0x40000000},
        {"not followed", here, "circle", AT_SYMLINK_NOFOLLOW},
    };
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        pid_t child = fork_flushed();
        if (!child) {
            syscall(SYS_execveat, tries[i].fd, tries[i].path, arguments, empty, tries[i].flags);
            printf("%s: %s\n", tries[i].name, error_name(errno));
            leave_child(0);
        }
        reap(tries[i].name, child);
    }
}

static void on_signal(int signal) {
    (void)signal;
}
static void survivors(void) {
    title("what survives");
    pid_t child = fork_flushed();
    if (!child) {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGUSR2);
        sigprocmask(SIG_BLOCK, &set, NULL);
        raise(SIGUSR2);
        signal(SIGUSR1, on_signal);
        signal(SIGHUP, SIG_IGN);
        MUST(dup2(1, 50));
        MUST(dup3(1, 51, O_CLOEXEC));
        prctl(PR_SET_NAME, "renamed");
        umask(035);
        alarm(100);
        MUST(chdir("directory"));
        char *arguments[] = {"survivor", NULL};
        execve(self_path, arguments, empty);
        leave_child(1);
    }
    reap("survivor", child);
}

static int survivor(void) {
    sigset_t mask, pending;
    struct sigaction usr1, hup;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    sigpending(&pending);
    sigaction(SIGUSR1, NULL, &usr1);
    sigaction(SIGHUP, NULL, &hup);
    printf("mask %d pending %d handler reset %d still ignored %d\n", sigismember(&mask, SIGUSR2),
           sigismember(&pending, SIGUSR2), usr1.sa_handler == SIG_DFL, hup.sa_handler == SIG_IGN);
    printf("fd 50 %d fd 51 %d umask %o alarm %d\n", fcntl(50, F_GETFD), fcntl(51, F_GETFD),
           umask(0), alarm(0) > 90);
    char name[16], text[256];
    prctl(PR_GET_NAME, name);
    /* Run through /proc/self/exe: Linux 6.14 names it after the file, older ones "exe". */
    printf("name kept %d cwd %s\n", strcmp(name, "renamed") == 0,
           strrchr(getcwd(text, sizeof text), '/'));
    return 8;
}

int main(int argc, char **argv) {
    if (argc && strcmp(argv[0], "count") == 0) {
        size_t bytes = 0;
        int variables = 0;
        extern char **environ;
        for (int i = 0; i < argc; i++)
            bytes += strlen(argv[i]);
        while (environ[variables])
            variables++;
        printf("arguments %d bytes %zu variables %d end %d\n", argc, bytes, variables,
               argv[argc] == NULL);
        return 0;
    }
    if (argc && strcmp(argv[0], "survivor") == 0)
        return survivor();
    if (argc && argv[0][0] == 0) {
        printf("an empty argument was put in, count %d\n", argc);
        return 0;
    }
    enter_directory();
    errors();
    sizes();
    scripts();
    at_variants();
    survivors();
    check_leave();
    return 0;
}
