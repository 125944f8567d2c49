/* What a forwarder or a relay that was taken over can still do.
 *
 *   forward-probe calls ROLE < CALLS    ROLE: the number in enum filter_role
 *
 * A line of CALLS is `NUMBER A B C D E F`, in decimal; each call is made behind the role's filter
 * in a process of its own, and a line printed for it: `killed`, `refused` by the filter, or
 * `passed` on to the kernel.
 *
 *   forward-probe files DIRECTORY FILE PROGRAM
 *
 * Sets the forwarder's rules for files and prints a line `NAME ERRNO` for each thing tried then, 0
 * for success: removing "mine" beneath DIRECTORY, reading FILE, executing PROGRAM and others. */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../files.h"
#include "../filter.h"

#define MARK 3333 /* no errno of the kernel's: the filter's refusals are told apart by it */

enum progress { WAITING, BEGUN, REFUSED };

static struct sock_filter code[FILTER_LENGTH_MAX];
static struct sock_fprog program = {0, code};

static void make_filter(enum filter_role role) {
    program.len = filter_make(role, code);
    for (unsigned i = 0; i < program.len; i++)
        if (code[i].code == (BPF_RET | BPF_K) && code[i].k == (SECCOMP_RET_ERRNO | FILTER_REFUSED))
            code[i].k = SECCOMP_RET_ERRNO | MARK;
}

/* In a process of its own: goes behind the filter and makes the call. */
static _Noreturn void attempt(const long *call, volatile enum progress *progress) {
    struct itimerval soon = {{0, 0}, {0, 200000}}; /* for calls that wait */
    setitimer(ITIMER_REAL, &soon, NULL);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
        _exit(3);
    *progress = BEGUN;
    if (syscall(call[0], call[1], call[2], call[3], call[4], call[5], call[6]) < 0 && errno == MARK)
        *progress = REFUSED;
    _exit(0);
}

static const char *probe(const long *call, volatile enum progress *progress) {
    int status;
    do { /* again when, on a busy machine, the time was over before the call */
        *progress = WAITING;
        pid_t child = fork();
        if (child == 0)
            attempt(call, progress);
        waitpid(child, &status, 0);
    } while (*progress == WAITING && WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM);
    if (*progress == WAITING)
        return "no filter";
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
        return "killed";
    return *progress == REFUSED ? "refused" : "passed";
}

static int try_calls(enum filter_role role) {
    void *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char line[512];
    if (shared == MAP_FAILED)
        return 1;
    make_filter(role);
    while (fgets(line, sizeof(line), stdin)) {
        long call[7];
        char *at = line;
        for (int i = 0; i < 7; i++)
            call[i] = (long)strtoull(at, &at, 10);
        printf("%s\n", probe(call, shared));
        fflush(stdout);
    }
    return 0;
}

static void show(const char *name, long result) {
    printf("%s %d\n", name, result < 0 ? errno : 0);
}

static long execute(const char *path) {
    int status;
    char *const arguments[] = {(char *)(uintptr_t)path, NULL}, *const environment[] = {NULL};
    pid_t child = fork();
    if (child == 0) {
        execve(path, arguments, environment);
        _exit(errno);
    }
    waitpid(child, &status, 0);
    errno = WEXITSTATUS(status);
    return errno == EACCES ? -1 : 0;
}

static long bind_port(void) {
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    return bind(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), (struct sockaddr *)&any,
                sizeof(any));
}

static int try_files(const char *directory, const char *file, const char *other) {
    int run = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    setvbuf(stdout, NULL, _IONBF, 0);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    printf("version %ld\n", syscall(SYS_landlock_create_ruleset, NULL, 0, 1));
    show("rules", files_restrict(run));
    show("remove its own", unlinkat(run, "mine", 0));
    show("remove another", unlink(file));
    show("read", open(file, O_RDONLY | O_CLOEXEC));
    show("list", open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    show("write", open(file, O_WRONLY | O_CLOEXEC));
    show("make", openat(run, "new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    show("execute another", execute(other));
    show("execute itself", execute("/proc/self/exe"));
    show("bind", bind_port());
    show("signal", kill(getppid(), 0));
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "calls") == 0)
        return try_calls((enum filter_role)atoi(argv[2]));
    if (argc == 5 && strcmp(argv[1], "files") == 0)
        return try_files(argv[2], argv[3], argv[4]);
    return 2;
}
