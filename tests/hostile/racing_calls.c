/* Random calls from four threads at once, on memory, descriptors and structures that change under
 * the calls, with a signal every two milliseconds: what was checked must be what is used. */
#include "hostile.h"
#include <sys/socket.h>
#include <sys/time.h>

#define MEMORY 8192
#define CALLS 150
#define NUMBERS 480
#define MONITOR_BASE 0x100000000000ul /* where the window begins in the monitor */

static char *memory;

static unsigned long argument(unsigned long *state) {
    switch (dice(state) % 10) {
    case 0:
        return dice(state) % 16;
    case 1:
        return dice(state) % 1024;
    case 2:
        return 0;
    case 3:
        return -1ul;
    case 4:
        return 1ul << dice(state) % 64;
    case 5:
        return 13000 + dice(state) % 8192; /* numbers among which the monitor's descriptors are */
    case 6:
        return MONITOR_BASE + (dice(state) % (1ul << 31) << 12);
    default:
        return (unsigned long)memory + dice(state) % MEMORY;
    }
}

/* Those too that the whole program would feel. */
static bool left_out(long number) {
    const long list[] = {SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_chroot,
                         SYS_chdir,        SYS_setsid,         SYS_sync};
    return is_listed(number, list, sizeof list) || proves_nothing(number);
}

/* Moves the ground under the other threads' calls. */
static void disturb(unsigned long *state) {
    if (dice(state) % 4 == 0)
        memory[dice(state) % MEMORY] = (char)dice(state);
    if (dice(state) % 8 == 0)
        ((unsigned long *)memory)[dice(state) % (MEMORY / 8)] = argument(state);
    if (dice(state) % 10)
        return;
    size_t size = (1 + dice(state) % 64) << 12;
    switch (dice(state) % 5) {
    case 0:
        syscall(SYS_close_range, 3 + dice(state) % 30, dice(state) % 20000, dice(state) % 8);
        break;
    case 1:
        dup2((int)(dice(state) % 10), (int)(dice(state) % 20000));
        break;
    case 2:
        fcntl((int)(dice(state) % 10), F_DUPFD, dice(state) % 20000);
        break;
    case 3:
        munmap(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), size);
        break;
    default:
        (void)!open("/proc/self/fd", O_RDONLY);
    }
}

static void *race(void *seed) {
    unsigned long state = (unsigned long)seed;
    for (int i = 0; i < CALLS; i++) {
        long number = (long)(dice(&state) % NUMBERS);
        disturb(&state);
        if (!left_out(number))
            syscall(number, argument(&state), argument(&state), argument(&state), argument(&state),
                    argument(&state), argument(&state));
    }
    return NULL;
}

static void interrupt(int signal) {
    (void)signal;
}

static unsigned long round_seed;
static void one_round(void) {
    struct sigaction action = {.sa_handler = interrupt};
    struct itimerval every = {{0, 2000}, {0, 2000}};
    unsigned long state = round_seed;
    pthread_t thread;
    int pair[2];

    memory = mmap(NULL, 2 * MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < MEMORY; i++)
        memory[i] = dice(&state) % 4 ? 0 : (char)dice(&state);
    strcpy(memory + 1000, "/proc/self/fd/3");
    (void)!socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    (void)!pipe(pair);
    for (int fd = 0; fd < 3; fd++) {
        close(fd);
        (void)!open("/dev/null", O_RDWR);
    }
    sigaction(SIGALRM, &action, NULL); /* nothing blocks for long */
    setitimer(ITIMER_REAL, &every, NULL);
    for (unsigned long i = 1; i < 4; i++)
        pthread_create(&thread, NULL, race, (void *)(round_seed + i * 7919));
    race((void *)round_seed);
    usleep(20000);
}

int main(void) {
    int harmed = 0;

    enter_directory();
    for (int i = 0; i < 60; i++) {
        round_seed = 88172645463325252ul + (unsigned long)i * 104729;
        pid_t child = fork_flushed();
        if (!child) {
            one_round();
            _exit(0);
        }
        int status = 0;
        while (waitpid(child, &status, 0) == -1 && errno == EINTR)
            ;
        /* 125 is how a monitor ends that cannot go on. */
        harmed += WIFEXITED(status) && WEXITSTATUS(status) == 125;
    }
    printf("monitors harmed: %s\n", harmed ? "DAMAGED" : "none");
    survived();
    return 0;
}
