/* What a monitor that was taken over can still do: makes host calls behind the filter that the jail
 * sets, each in a process of its own.
 *
 *   kwhost-jail-probe ROLE FD < CALLS    ROLE: the number in enum filter_role; FD: of a struct
 *                                        kw_ceiling, -1: none
 *
 * A line of CALLS is `64 NUMBER A B C D E F`, or with 32 a call by the numbers of 32-bit programs;
 * numbers are decimal, own_path stands for the address of that name. For each line one is printed:
 * `killed`, `refused` by the filter, or `passed` on to the kernel. The sealed executable's
 * descriptor is number OWN.
 *
 *   kwhost-jail-probe program FD < CALLS     FD: of a struct kw_policy, -1: none
 *
 * Likewise behind the filter of a program without a monitor, under a policy: `asked` is what the
 * broker would be asked about.
 *
 *   kwhost-jail-probe files
 *
 * Sets the jail's Landlock rules and prints a line `NAME ERRNO` for each of several things done to
 * files then, 0 for success. As root.
 *
 *   kwhost-jail-probe open FD WHAT...    WHAT: `rPATH` opens for reading, `wPATH` for writing,
 * `cPATH` makes a file, `uPATH` removes one
 *
 * Likewise, with the rules of a ceiling; lines `WHAT ERRNO`.
 *
 *   kwhost-jail-probe tcp PORT
 *
 * Likewise, with the rules of a program whose addresses the broker judges: binds any port of
 * 127.0.0.1, and connects to PORT there. */
#include <asm/prctl.h>
#include <asm/signal.h>
#include <linux/landlock.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <linux/time.h>

#include "base/own_fd.h"
#include "base/text.h"
#include "jail/filesystem.h"
#include "jail/filter.h"
#include "jail/kernel.h"
#include "jail/landlock.h"
#include "jail/program_filter.h"
#include "procfs/procfs.h"

#define OWN 100
/* No errnos of the kernel's, by which what the filter does is told apart. */
#define MARK 3333
#define ASKED_MARK 3334
#define INPUT_MAX (1u << 20)

enum progress { WAITING, BEGUN, REFUSED, ASKED };

struct attempt {
    bool narrow; /* by a 32-bit program's number */
    u64 nr, arg[6];
};

static struct sock_filter code[PROGRAM_FILTER_MAX];
static u16 code_length;

_Noreturn void monitor_start(u64 *stack);

static void say(const char *text) {
    host(__NR_write, 1, text, strlen(text));
}

static _Noreturn void leave(int status) {
    for (;;)
        host(__NR_exit_group, status);
}

static void make_filter(enum filter_role role, const struct kw_ceiling *ceiling) {
    u32 length = filter_make(role, OWN, ceiling_calls(ceiling), code);
    if (length > FILTER_LENGTH_MAX)
        leave(2);
    code_length = (u16)length;
    for (u32 i = 0; i < length; i++)
        if (code[i].code == (BPF_RET | BPF_K) && code[i].k == (SECCOMP_RET_ERRNO | FILTER_REFUSED))
            code[i].k = SECCOMP_RET_ERRNO | MARK;
}

static const struct kw_policy *read_policy(int fd) {
    static struct kw_policy policy;
    if (fd < 0)
        return NULL;
    if (host(__NR_pread64, fd, &policy, sizeof policy, 0) != sizeof policy || policy_check(&policy))
        leave(4);
    return &policy;
}

static void make_program_filter(int fd) {
    const struct program_filter filter = {.policy = read_policy(fd), .files = true, .channel = -1};
    code_length = (u16)program_filter_make(&filter, code);
    for (u32 i = 0; i < code_length; i++) {
        if (code[i].code != (BPF_RET | BPF_K))
            continue;
        if (code[i].k == SECCOMP_RET_USER_NOTIF)
            code[i].k = SECCOMP_RET_ERRNO | ASKED_MARK;
        else if ((code[i].k & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO)
            code[i].k = SECCOMP_RET_ERRNO | MARK;
    }
}

static long narrow_call(const struct attempt *attempt) {
    long result = (long)attempt->nr;
    const u64 *arg = attempt->arg;
    __asm__ volatile("int $0x80"
                     : "+a"(result)
                     : "b"(arg[0]), "c"(arg[1]), "d"(arg[2]), "S"(arg[3]), "D"(arg[4])
                     : "memory", "cc", "r8", "r9", "r10", "r11");
    return result;
}

static long make_call(const struct attempt *attempt) {
    const u64 *arg = attempt->arg;
    if (attempt->narrow)
        return narrow_call(attempt);
    return host6((long)attempt->nr, (long)arg[0], (long)arg[1], (long)arg[2], (long)arg[3],
                 (long)arg[4], (long)arg[5]);
}

/* In a process of its own: goes behind the filter and makes the call. */
static _Noreturn void attempt_behind_filter(const struct attempt *attempt,
                                            volatile enum progress *progress) {
    struct sock_fprog program = {code_length, code};
    struct __kernel_old_itimerval soon = {{0, 0}, {0, 200000}}; /* for calls that wait */
    host(__NR_setitimer, ITIMER_REAL, &soon, 0);
    host(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (host(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
        leave(3);
    *progress = BEGUN;
    long result = make_call(attempt);
    if (result == -MARK || result == -ASKED_MARK)
        *progress = result == -MARK ? REFUSED : ASKED;
    leave(0);
}

static const char *probe(const struct attempt *attempt, volatile enum progress *progress) {
    int status;
    *progress = WAITING;
    do { /* again when, on a busy machine, the time was over before the call */
        long child = host(__NR_fork);
        if (child == 0)
            attempt_behind_filter(attempt, progress);
        host(__NR_wait4, child, &status, 0, 0);
    } while (*progress == WAITING && status_signal(status) == SIGALRM);
    if (*progress == WAITING)
        return "no filter\n";
    if (status_signal(status) == SIGSYS)
        return "killed\n";
    return *progress == REFUSED ? "refused\n" : *progress == ASKED ? "asked\n" : "passed\n";
}

static const char *next_word(char **at) {
    char *word = *at;
    while (**at && **at != ' ' && **at != '\n')
        (*at)++;
    if (**at)
        *(*at)++ = 0;
    return word;
}

static u64 number(const char *word) {
    u64 value = 0;
    if (!strcmp(word, "own_path"))
        return (u64)own_path;
    for (; *word >= '0' && *word <= '9'; word++)
        value = value * 10 + (u64)(*word - '0');
    return value;
}

static void show(const char *name, long result) {
    char line[PATH_MAX];
    format(line, sizeof line, "%s %d\n", name, result < 0 ? (int)-result : 0);
    say(line);
}

static long execute(const char *path) {
    char *argv[] = {"true", NULL}, *environment[] = {NULL};
    int status = 0;
    long child = host(__NR_fork);
    if (child == 0)
        leave((int)-host(__NR_execve, path, argv, environment));
    host(__NR_wait4, child, &status, 0, 0);
    return -(long)status_code(status);
}

static const struct kw_ceiling *read_ceiling(const char *fd) {
    const struct kw_ceiling *ceiling;
    struct failure failure = {0};
    if (!ceiling_read(strcmp(fd, "-1") ? (int)number(fd) : -1, &ceiling, &failure))
        leave(4);
    return ceiling;
}

static long open_as_told(const char *what) {
    switch (what[0]) {
    case 'r':
        return host(__NR_openat, AT_FDCWD, what + 1, O_RDONLY | O_CLOEXEC, 0);
    case 'w':
        return host(__NR_openat, AT_FDCWD, what + 1, O_WRONLY | O_CLOEXEC, 0);
    case 'c':
        return host(__NR_openat, AT_FDCWD, what + 1, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    default:
        return host(__NR_unlinkat, AT_FDCWD, what + 1, 0);
    }
}

static _Noreturn void try_opening(char **arguments) {
    char log[FILESYSTEM_LOG], name[32];
    const struct kw_ceiling *ceiling = read_ceiling(*arguments++);
    const struct grants_own own = {
        .procfs = (int)filesystem_new("proc", NULL, FILESYSTEM_SAFE, log),
        .standins = procfs_make_standins(),
    };
    host(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    show("version", host(__NR_landlock_create_ruleset, 0, 0, LANDLOCK_CREATE_RULESET_VERSION));
    show("rules", landlock_set(ceiling, &own));
    show("own-procfs", host(__NR_openat, own.procfs, "self/maps", O_RDONLY | O_CLOEXEC, 0));
    show("own-stand-in",
         host(__NR_openat, own.standins, "file", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    format(name, sizeof name, "self/fd/%d", 0);
    show("own-stream", host(__NR_openat, own.procfs, name, O_RDWR | O_CLOEXEC, 0));
    for (; *arguments; arguments++)
        show(*arguments, open_as_told(*arguments));
    leave(0);
}

static _Noreturn void try_files(void) {
    char log[FILESYSTEM_LOG];
    int create = O_WRONLY | O_CREAT | O_CLOEXEC;
    int standins = procfs_make_standins(), other = procfs_make_standins();
    long proc = filesystem_new("proc", NULL, FILESYSTEM_SAFE, log);
    host(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    long version = host(__NR_landlock_create_ruleset, 0, 0, LANDLOCK_CREATE_RULESET_VERSION);
    show("version", version);
    const struct grants_own own = {.procfs = (int)proc, .standins = standins};
    show("rules", landlock_set(NULL, &own));
    show("stand-in", host(__NR_openat, standins, "file", create, 0600));
    show("other", host(__NR_openat, other, "file", create, 0600));
    show("read-proc", host(__NR_openat, proc, "self/comm", O_RDONLY | O_CLOEXEC, 0));
    show("write-proc", host(__NR_openat, proc, "self/comm", O_WRONLY | O_CLOEXEC, 0));
    show("write-memory", host(__NR_openat, proc, "self/mem", O_RDWR | O_CLOEXEC, 0));
    show("make-directory", host(__NR_mkdirat, AT_FDCWD, "/tmp/kwhost-jail-probe", 0700));
    show("rename", host(__NR_renameat, AT_FDCWD, "/tmp/kwhost-jail-probe", AT_FDCWD,
                        "/tmp/kwhost-jail-probed"));
    show("remove-directory",
         host(__NR_unlinkat, AT_FDCWD, "/tmp/kwhost-jail-probed", AT_REMOVEDIR));
    show("execute", execute("/bin/true"));
    leave(0);
}

static _Noreturn void try_tcp(u32 port) {
    struct { /* struct sockaddr_in */
        u16 family;
        u8 port[2], address[4];
        u64 padding;
    } own = {.family = AF_INET, .address = {127, 0, 0, 1}}, other = own;
    other.port[0] = (u8)(port >> 8);
    other.port[1] = (u8)port;
    host(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    show("version", host(__NR_landlock_create_ruleset, 0, 0, LANDLOCK_CREATE_RULESET_VERSION));
    show("rules", landlock_set_program(NULL, true));
    show("bind", host(__NR_bind, host(__NR_socket, AF_INET, SOCK_STREAM, 0), &own, sizeof own));
    show("connect",
         host(__NR_connect, host(__NR_socket, AF_INET, SOCK_STREAM, 0), &other, sizeof other));
    show("datagram", host(__NR_bind, host(__NR_socket, AF_INET, SOCK_DGRAM, 0), &own, sizeof own));
    leave(0);
}

_Noreturn void monitor_start(u64 *stack) {
    static char input[INPUT_MAX];
    char **argv = (char **)(stack + 1), *at = input;
    u64 held = 0;
    long result =
        host(__NR_mmap, 0, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (stack[0] < 2 || host_failed(result))
        leave(2);
    if (!strcmp(argv[1], "files"))
        try_files();
    if (stack[0] == 3 && !strcmp(argv[1], "tcp"))
        try_tcp((u32)number(argv[2]));
    if (stack[0] > 2 && !strcmp(argv[1], "open"))
        try_opening(argv + 2);
    if (stack[0] != 3)
        leave(2);
    if (!strcmp(argv[1], "program"))
        make_program_filter(strcmp(argv[2], "-1") ? (int)number(argv[2]) : -1);
    else
        make_filter((enum filter_role)number(argv[1]), read_ceiling(argv[2]));
    for (long got; (got = host(__NR_read, 0, input + held, INPUT_MAX - 1 - held)) > 0;)
        held += (u64)got;
    while (*at) {
        struct attempt attempt = {.narrow = number(next_word(&at)) == 32};
        attempt.nr = number(next_word(&at));
        for (u32 i = 0; i < array_size(attempt.arg); i++)
            attempt.arg[i] = number(next_word(&at));
        say(probe(&attempt, (volatile enum progress *)result));
    }
    leave(0);
}
