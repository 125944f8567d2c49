/* Storms of processes, threads and SIGKILL, bounded; children that end in the middle of everything.
 */
#include "hostile.h"
#include <sys/resource.h>

static void *idle(void *unused) {
    for (;;)
        pause();
    return unused;
}
static void *spin(void *unused) {
    for (volatile long i = 0;; i++)
        ;
    return unused;
}

/* Children with threads are killed at random moments of fork, exec, thread creation and exit. */
static void kills(void) {
    unsigned long seed = 4711;
    for (int round = 0; round < 60; round++) {
        pid_t child = fork();
        if (!child) {
            setpgid(0, 0);
            pthread_t thread;
            for (int i = 0; i < 4; i++)
                pthread_create(&thread, NULL, i & 1 ? spin : idle, NULL);
            if (round % 3 == 0)
                for (;;) {
                    pid_t grandchild = fork();
                    if (!grandchild)
                        _exit(0);
                    waitpid(grandchild, NULL, 0);
                }
            if (round % 3 == 1)
                execl("/proc/self/exe", "storms", "again", NULL);
            for (;;)
                mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        }
        setpgid(child, child);
        struct timespec moment = {0, (long)(dice(&seed) % 12000000)};
        nanosleep(&moment, NULL);
        kill(-child, SIGKILL);
        waitpid(child, NULL, 0);
        while (waitpid(-child, NULL, 0) > 0)
            ;
    }
}

static void forks(void) {
    pid_t first = getpid();
    for (int i = 0; i < 5; i++)
        fork();
    if (getpid() == first)
        while (wait(NULL) > 0)
            ;
    else
        _exit(0);
}

static void threads(void) {
    pthread_t thread;
    int made = 0;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    while (made < 400 && pthread_create(&thread, &small, idle, NULL) == 0)
        made++;
    printf("threads %s\n", made > 50 ? "many" : "FEW");
    syscall(SYS_exit_group, 0);
}

static volatile long caught;
static void on_signal(int signal) {
    (void)signal;
    caught++;
}
static void signals(void) {
    for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
        signal(number, on_signal);
    pid_t target = getpid(), children[4];
    for (int i = 0; i < 4; i++)
        if (!(children[i] = fork())) {
            for (int k = 0; k < 2000; k++)
                kill(target, SIGRTMIN + k % 30);
            _exit(0);
        }
    for (int i = 0; i < 4; i++)
        while (waitpid(children[i], NULL, 0) == -1 && errno == EINTR)
            ;
    printf("signals %s\n", caught > 1000 ? "many" : "FEW");
}

/* exec, exit and death of the whole while threads are in the middle of system calls. */
static void *calling(void *unused) {
    char byte;
    int fds[2];
    for (;;) {
        if (pipe(fds) == 0) {
            (void)!write(fds[1], "x", 1);
            (void)!read(fds[0], &byte, 1);
            close(fds[0]);
            close(fds[1]);
        }
    }
    return unused;
}
static void ends(void) {
    for (int i = 0; i < 30; i++) {
        pid_t child = fork();
        if (!child) {
            pthread_t thread;
            for (int k = 0; k < 6; k++)
                pthread_create(&thread, NULL, k & 1 ? calling : spin, NULL);
            if (i % 3 == 0)
                execl("/proc/self/exe", "storms", "leave", NULL);
            if (i % 3 == 1)
                __asm__ volatile("ud2");
            _exit(0);
        }
        waitpid(child, NULL, 0);
    }
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "again") == 0)
        for (;;)
            pause();
    if (argc > 1)
        return 0;
    in_child("kills", kills, 40);
    in_child("forks", forks, 20);
    in_child("threads", threads, 30);
    in_child("signals", signals, 30);
    in_child("ends", ends, 40);
    survived();
    return 0;
}
