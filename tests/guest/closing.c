/* What was closed is closed: nobody else has it open a moment longer. */
#include "check.h"
#include <sys/file.h>

#define ROUNDS 100

/* A program that was just written can be executed. */
static void executing(void) {
    title("executing what was written");
    int failed = 0;
    for (int i = 0; i < ROUNDS; i++) {
        int fd = MUST(open("script", O_WRONLY | O_CREAT | O_TRUNC, 0755));
        MUST(write(fd, "#!missing\n", 10));
        MUST(close(fd));
        char *arguments[] = {"script", NULL}, *environment[] = {NULL};
        execve("./script", arguments, environment);
        failed += errno != ENOENT;
        MUST(unlink("script"));
    }
    printf("busy: %d of %d\n", failed, ROUNDS);
}

/* Closing a file gives its lock back. */
static void locking(void) {
    title("locking what was locked");
    int failed = 0;
    for (int i = 0; i < ROUNDS; i++) {
        int fd = MUST(open("lock", O_RDWR | O_CREAT, 0644));
        failed += flock(fd, LOCK_EX | LOCK_NB) < 0;
        MUST(close(fd));
    }
    printf("locked: %d of %d\n", failed, ROUNDS);
}

/* A pipe ends with its last writer. */
static void ending(void) {
    title("reading to the end");
    int failed = 0;
    MUST(mkfifo("pipe", 0644));
    for (int i = 0; i < ROUNDS; i++) {
        char byte;
        int reader = MUST(open("pipe", O_RDONLY | O_NONBLOCK));
        int writer = MUST(open("pipe", O_WRONLY));
        MUST(close(writer));
        failed += read(reader, &byte, 1) != 0;
        MUST(close(reader));
    }
    printf("not ended: %d of %d\n", failed, ROUNDS);
}

int main(void) {
    enter_directory();
    executing();
    locking();
    ending();
    check_leave();
    return 0;
}
