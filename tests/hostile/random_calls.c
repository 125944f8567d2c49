/* Makes random system calls with hostile arguments from four threads at once, which share memory
 * that changes under the calls: wild pointers, huge lengths, the monitor's addresses and descriptor
 * numbers, unknown numbers. Each round is a process of its own. Only for inside an instance: as
 * root on a host it would do harm.
 *
 *   random_calls [ROUNDS [SEED]]     prints "done ROUNDS" when the monitor survived every round */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define MEMORY 8192
#define CALLS 150
#define NUMBERS 480
#define MONITOR_BASE 0x100000000000ul /* where the window begins in the monitor */
#define MONITOR_FDS 13000 /* own descriptors of a monitor are among the numbers from here on */

static __thread uint64_t state;
static char *memory;

static uint32_t random32(void) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return state >> 33;
}

/* Calls that end, stop or unmap the program itself, or wait for ever: they tell nothing. */
static int is_left_out(long number) {
    static const short list[] = {
        SYS_exit,
        SYS_exit_group,
        SYS_fork,
        SYS_vfork,
        SYS_clone,
        SYS_clone3,
        SYS_kill,
        SYS_tkill,
        SYS_tgkill,
        SYS_munmap,
        SYS_mprotect,
        SYS_mmap,
        SYS_mremap,
        SYS_brk,
        SYS_shmat,
        SYS_madvise,
        SYS_arch_prctl,
        SYS_rt_sigaction,
        SYS_rt_sigprocmask,
        SYS_rt_sigreturn,
        SYS_rt_sigqueueinfo,
        SYS_rt_tgsigqueueinfo,
        SYS_pidfd_send_signal,
        SYS_setitimer,
        SYS_alarm,
        SYS_setrlimit,
        SYS_prlimit64,
        SYS_chroot,
        SYS_chdir,
        SYS_setsid,
        SYS_sync,
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (list[i] == number)
            return 1;
    return 0;
}

static unsigned long argument(void) {
    switch (random32() % 12) {
    case 0:
        return random32() % 16;
    case 1:
        return random32() % 1024;
    case 2:
        return 0;
    case 3:
        return -1ul;
    case 4:
    case 5:
    case 6:
        return (unsigned long)memory + random32() % MEMORY;
    case 7:
        return 1ul << random32() % 64;
    case 8:
        return MONITOR_FDS + random32() % 8192;
    case 9:
        return MONITOR_BASE + ((unsigned long)random32() << 12);
    case 10:
        return (1ul << 46) - random32() % 8192;
    default:
        return (unsigned long)random32() << 32 | random32();
    }
}

/* What moves the ground under the other threads' calls. */
static void disturb(void) {
    if (random32() % 4 == 0)
        memory[random32() % MEMORY] = (char)random32();
    if (random32() % 8 == 0)
        ((unsigned long *)memory)[random32() % (MEMORY / 8)] = argument();
    if (random32() % 10)
        return;
    switch (random32() % 5) {
    case 0:
        close_range(3 + random32() % 30, random32() % 20000, (int)(random32() % 8));
        break;
    case 1:
        dup2((int)(random32() % 10), (int)(random32() % 20000));
        break;
    case 2:
        fcntl((int)(random32() % 10), F_DUPFD, random32() % 20000);
        break;
    case 3: {
        size_t size = (1 + random32() % 64) << 12;
        munmap(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), size);
        break;
    }
    default:
        (void)!open("/proc/self/fd", O_RDONLY);
    }
}

static void *work(void *seed) {
    state = (uint64_t)(uintptr_t)seed;
    for (int i = 0; i < CALLS; i++) {
        long number = random32() % NUMBERS;
        disturb();
        if (!is_left_out(number))
            syscall(number, argument(), argument(), argument(), argument(), argument(), argument());
    }
    return NULL;
}

static void interrupt(int signal) {
    (void)signal;
}

static _Noreturn void round_of_calls(uint64_t seed) {
    struct sigaction action = {.sa_handler = interrupt};
    struct itimerval every = {{0, 2000}, {0, 2000}};
    int pair[2];
    pthread_t threads[3];

    state = seed;
    memory = mmap(NULL, 2 * MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < MEMORY; i++)
        memory[i] = random32() % 4 ? 0 : (char)random32();
    strcpy(memory + 1000, "/proc/self/fd/3");
    (void)!socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    (void)!pipe(pair);
    for (int fd = 0; fd < 3; fd++) {
        close(fd);
        (void)!open("/dev/null", O_RDWR);
    }
    sigaction(SIGALRM, &action, NULL); /* nothing blocks for long */
    setitimer(ITIMER_REAL, &every, NULL);
    for (uintptr_t i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)(seed + 77 * (i + 1)));
    work((void *)(uintptr_t)seed);
    usleep(20000);
    _exit(0);
}

int main(int count, char **words) {
    int rounds = count > 1 ? atoi(words[1]) : 50, seed = count > 2 ? atoi(words[2]) : 1, status;

    mkdir("/tmp/random", 0700);
    if (chdir("/tmp/random") != 0)
        return 1;
    for (int i = 0; i < rounds; i++) {
        pid_t child = fork();
        if (child < 0)
            return 1;
        if (child == 0)
            round_of_calls((uint64_t)seed * 1000003 + (uint64_t)i);
        if (waitpid(child, &status, 0) != child)
            return 1;
        /* Signals that a program can bring on itself with these calls are no harm. */
        if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
            printf("round %d: exit %d\n", i, WEXITSTATUS(status));
        else if (WIFSIGNALED(status) && WTERMSIG(status) != SIGPIPE)
            printf("round %d: signal %d\n", i, WTERMSIG(status));
    }
    printf("done %d\n", rounds);
    return 0;
}
