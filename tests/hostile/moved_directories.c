/* Under a policy (moved_directories.toml) by which what lies beneath /tmp/NAME/cgi may be executed:
 * directories are to get such a name in the place of files, by threads and processes that exchange
 * them meanwhile, are interrupted by signals, borrow memory, and are killed. */
#include "hostile.h"
#include <sched.h>
#include <sys/stat.h>

static void *exchange(void *unused) {
    for (;;)
        renameat2(AT_FDCWD, "/tmp/a/b", AT_FDCWD, "/tmp/a/c", RENAME_EXCHANGE);
    return unused;
}

static void *replace(void *unused) {
    for (;;) {
        unlink("/tmp/a/d");
        mkdir("/tmp/a/d", 0777);
        rmdir("/tmp/a/d");
        close(open("/tmp/a/d", O_CREAT | O_WRONLY, 0666));
    }
    return unused;
}

/* Also out of the place of a file, by exchange. */
static void *move(void *unused) {
    for (;;) {
        rename("/tmp/a/b", "/tmp/w");
        rename("/tmp/a/d", "/tmp/x");
        rename("/tmp/w", "/tmp/a/b");
        rename("/tmp/x", "/tmp/y");
        renameat2(AT_FDCWD, "/tmp/a/c", AT_FDCWD, "/tmp/y", RENAME_EXCHANGE);
    }
    return unused;
}

static void ignore(int signal) {
    (void)signal;
}

static void *interrupt(void *unused) {
    for (;;)
        kill(getpid(), SIGUSR1);
    return unused;
}

static int borrow(void *unused) {
    alarm(1);
    move(unused);
    return 0;
}

static void *lend(void *unused) {
    char *stack = malloc(64 << 10);
    for (;;)
        waitpid(clone(borrow, stack + (64 << 10), CLONE_VM | CLONE_VFORK | SIGCHLD, NULL), NULL, 0);
    return unused;
}

static void race(void) {
    void *(*const body[])(void *) = {exchange, replace, move, lend, interrupt};
    pthread_t thread;
    signal(SIGUSR1, ignore);
    for (size_t i = 0; i < sizeof body / sizeof *body; i++)
        pthread_create(&thread, NULL, body[i], NULL);
    move(NULL);
}

static void kill_movers(void) {
    for (;;) {
        pid_t child = fork_flushed();
        if (!child)
            move(NULL);
        usleep(3000);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
}

static void look(const char *name) {
    char path[32];
    struct stat status;
    snprintf(path, sizeof path, "/tmp/%s", name);
    if (lstat(path, &status) == 0 && S_ISDIR(status.st_mode))
        printf("OPENED by %s\n", path);
}

int main(void) {
    MUST(mkdir("/tmp/a", 0777));
    MUST(mkdir("/tmp/a/c", 0777));
    MUST(mkdir("/tmp/a/c/cgi", 0777));
    for (int round = 0; round < 3; round++) {
        close(open("/tmp/a/b", O_CREAT | O_WRONLY, 0666));
        close(open("/tmp/y", O_CREAT | O_WRONLY, 0666));
        in_child("threads", race, 1);
        in_child("killed processes", kill_movers, 1);
        look("w"), look("x"), look("y");
    }
    survived();
    return 0;
}
