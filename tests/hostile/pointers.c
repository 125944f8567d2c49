/* Every pointer that any call of the table takes, pointed at the monitor, at
 * the kernel, past the window, around its end: each has to fail with EFAULT, or
 * to do what one at nothing does. The rows come from calls/table.def. With the
 * argument `emulated` only one address of each kind is tried. */
#include "hostile.h"
#include <sys/resource.h>

enum kind { VALUE, NUMBER_OF_FD, DIRECTORY, NAME, POINTER, STRUCTURE };
struct row {
    long number;
    const char *name;
    enum kind kinds[6];
};

#define NONE VALUE
#define INT VALUE
#define SIGNAL VALUE
#define FLAGS VALUE
#define MODE VALUE
#define PID VALUE
#define ADDRESS VALUE /* a name only: mmap and its like, see memory.c */
#define FD NUMBER_OF_FD
#define DIRFD DIRECTORY
#define PATH NAME
#define STRING NAME
#define PTR POINTER
#define TIME POINTER
#define SIGSET POINTER
#define SOCKADDR(n) POINTER
#define IN(n) POINTER
#define OUT(n) POINTER
#define IN32(n) POINTER
#define OUT32(n) POINTER
#define IOVEC(n) STRUCTURE
#define MSGHDR STRUCTURE
#define ARGS(...)                                                                                  \
    { __VA_ARGS__ }
#define CALL(number, name, class, handler, restart, arguments, note) {number, #name, arguments},
#define REFUSE(number, name, errno, arguments, note)
static const struct row rows[] = {
#include "../../kwhost/monitor/calls/table.def"
};
#define ROWS (sizeof rows / sizeof *rows)

/* The first of each kind is enough where everything is slow. */
static const unsigned long addresses[] = {
    0x7f0000000000,     /* where the monitor's threads, tables and libraries are */
    0x400000000000,     /* just past the window */
    0xffffffff81000000, /* the kernel's code */
    -8ul,               /* around the end */
    0x100000401000,     /* the monitor's name of guest memory */
    0x500000000000,     /* the end of the window in the monitor */
    0x600000000000,     /* the pages of ring 0 */
    0x7fffffffe000,
    0x800000000000,
    0xffff888000000000,
    0x8000000000000000,
    0x3ffffffffff8, /* across the end of the window */
    0x4000003fffff0000,
};
#define ADDRESSES (sizeof addresses / sizeof *addresses)

static struct shared {
    size_t next; /* the case that is being tried */
    long probes, strange;
} * shared;
static size_t per_pointer = ADDRESSES;
static char *page, *nothing;
static int file, folder;

static bool left_out(long number) {
    const long list[] = {
        SYS_exit,      SYS_exit_group,  SYS_rt_sigreturn, SYS_fork,   SYS_vfork,  SYS_clone,
        SYS_kill,      SYS_tkill,       SYS_tgkill,       SYS_pause,  SYS_execve, SYS_execveat,
        SYS_setrlimit, SYS_close_range, SYS_setpgid,      SYS_setsid, SYS_chroot, SYS_wait4,
        SYS_waitid,    SYS_sync,        SYS_getrusage};
    return is_listed(number, list, sizeof list);
}

static void interrupted(int number) {
    (void)number;
}

/* The world as each probe finds it. */
static void prepare(void) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    struct sigaction action = {.sa_handler = interrupted};
    sigaction(SIGALRM, &action, NULL);
    if (fcntl(file, F_GETFD) < 0)
        dup2(open("file", O_RDWR | O_CREAT, 0600), file);
    lseek(file, 0, SEEK_SET);
    memset(page, 0, 4096);
    strcpy(page, "file");
}

static long try_with(const struct row *row, int pointer, unsigned long address) {
    unsigned long argument[6];
    prepare();
    for (int i = 0; i < 6; i++)
        switch (row->kinds[i]) {
        case VALUE:
            argument[i] = i > 0 && (row->kinds[i - 1] >= POINTER) ? 16 : 0;
            break;
        case NUMBER_OF_FD:
            argument[i] = (unsigned long)file;
            break;
        case DIRECTORY:
            argument[i] = (unsigned long)folder;
            break;
        default:
            argument[i] = (unsigned long)page + (unsigned long)i * 64 * (row->kinds[i] != NAME);
        }
    if (row->number == SYS_prlimit64)
        argument[1] = RLIMIT_CORE; /* another at nothing would end the process */
    argument[pointer] = address;
    long result = syscall(row->number, argument[0], argument[1], argument[2], argument[3],
                          argument[4], argument[5]);
    ++shared->probes;
    return result == -1 ? -errno : 0;
}

/* A structure in good memory, whose own pointers are the wild ones. */
static long try_inside(const struct row *row, int pointer, unsigned long address) {
    prepare();
    unsigned long *words = (unsigned long *)(page + 1024);
    words[0] = words[2] = words[4] = address;
    words[1] = words[3] = words[5] = 16;
    unsigned long argument[6] = {(unsigned long)file, (unsigned long)words, 1, 0, 0, 0};
    (void)pointer;
    long result = syscall(row->number, argument[0], argument[1], argument[2], argument[3],
                          argument[4], argument[5]);
    ++shared->probes;
    return result == -1 ? -errno : 0;
}

static void compare(const struct row *row, int pointer, unsigned long address) {
    for (int inside = 0; inside <= (row->kinds[pointer] == STRUCTURE); inside++) {
        long (*attempt)(const struct row *, int, unsigned long) = inside ? try_inside : try_with;
        long expected = attempt(row, pointer, (unsigned long)nothing);
        long got = attempt(row, pointer, address);
        for (int tries = 0; tries < 5 && got == -EINTR; tries++)
            got = attempt(row, pointer, address); /* attended() interrupts what is slow, too */
        if (got == expected || got == -EFAULT)
            continue;
        ++shared->strange;
        printf("OUT of line: %s argument %d%s at %lx: %s, at nothing %s\n", row->name, pointer,
               inside ? " (inside)" : "", address, got ? error_name((int)-got) : "ok",
               expected ? error_name((int)-expected) : "ok");
    }
}

static void try_case(size_t number) {
    const struct row *row = &rows[number / (6 * ADDRESSES)];
    int pointer = (int)(number / ADDRESSES % 6);
    size_t address = number % ADDRESSES;
    if (row->kinds[pointer] >= NAME && address < per_pointer && !left_out(row->number))
        compare(row, pointer, addresses[address]);
}

static void attack(void) {
    file = dup2(open("file", O_RDWR | O_CREAT, 0600), 100);
    folder = dup2(open(".", O_RDONLY | O_DIRECTORY), 101);
    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    nothing = mmap(NULL, 1 << 24, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(nothing, 1 << 24);
    for (; shared->next < ROWS * 6 * ADDRESSES; shared->next++)
        try_case(shared->next);
}

/* Nothing blocks for long; what does all the same is passed over. */
static bool attended(pid_t child) {
    int status = 0;
    for (int quiet = 0; quiet < 200;) {
        size_t before = shared->next;
        pause_ms(10);
        if (waitpid(child, &status, WNOHANG) == child)
            return WIFEXITED(status) && WEXITSTATUS(status) == 0;
        quiet = shared->next == before ? quiet + 1 : 0;
        if (quiet)
            kill(child, SIGALRM);
    }
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return false;
}

int main(int argc, char **argv) {
    int lost = 0;
    if (argc > 1 && strcmp(argv[1], "emulated") == 0)
        per_pointer = 4;
    enter_directory();
    signal(SIGALRM, interrupted); /* before any child can get one */
    shared = MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    while (shared->next < ROWS * 6 * ADDRESSES) {
        pid_t child = fork_flushed();
        if (!child) {
            attack();
            leave_child(0);
        }
        if (attended(child))
            break;
        fprintf(stderr, "ended in %s\n", rows[shared->next / (6 * ADDRESSES)].name);
        shared->next++;
        lost++;
    }
    printf("%s probes, %ld strange, %s\n", shared->probes > 1000 ? "many" : "FEW", shared->strange,
           lost < 20 ? "most calls came back" : "DAMAGED");
    fprintf(stderr, "%ld probes, %d ended their process\n", shared->probes, lost);
    survived();
    return 0;
}
