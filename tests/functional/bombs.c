/* What a hostile tenant does to its host: bombs FORKS | MEMORY | SIGNALS |
 * FILES, for ever or until it is killed. Beyond its own instance nobody may
 * notice. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void *spin(void *unused) {
    for (;;)
        if (pthread_create(&(pthread_t){0}, NULL, spin, NULL))
            sched_yield();
    return unused;
}

static void forks(void) {
    signal(SIGCHLD, SIG_IGN);
    for (;;)
        if (fork() == 0 && getpid() % 3 == 0)
            spin(NULL);
}

/* Each child takes what there is; the parent goes on. */
static void memory(void) {
    for (;;) {
        if (fork() == 0)
            for (size_t size = 1 << 22;;) {
                char *more =
                    mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                if (more == MAP_FAILED)
                    _exit(1);
                memset(more, 1, size);
            }
        wait(NULL);
    }
}

static void hear(int number) {
    (void)number;
}

static void signals(void) {
    struct sigaction action = {.sa_handler = hear, .sa_flags = SA_NODEFER};
    for (int number = 1; number < 65; number++)
        sigaction(number, &action, NULL);
    for (int i = 0; i < 8; i++)
        if (fork() == 0)
            break;
    for (;;)
        for (int number = 1; number < 65; number++)
            if (number != SIGKILL && number != SIGSTOP && number != SIGTSTP)
                kill(-1, number);
}

/* Fills what it may write to, and its log. */
static void files(void) {
    static char block[1 << 16];
    char name[32];
    memset(block, 'x', sizeof block);
    for (int i = 0;; i = (i + 1) % 10000) {
        snprintf(name, sizeof name, "/tmp/%d", i);
        int fd = open(name, O_WRONLY | O_CREAT, 0600);
        while (fd >= 0 && write(fd, block, sizeof block) > 0)
            if (lseek(fd, 0, SEEK_CUR) > 1 << 24)
                break;
        close(fd);
        if (write(1, block, sizeof block) < 0 && i % 100 == 0)
            usleep(1000);
    }
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "forks"))
        forks();
    if (!strcmp(what, "memory"))
        memory();
    if (!strcmp(what, "signals"))
        signals();
    if (!strcmp(what, "files"))
        files();
    return 2;
}
