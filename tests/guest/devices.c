/* The device files every program may expect, and ioctls on what does not know them. */
#include "check.h"
#include <sys/ioctl.h>
#include <termios.h>

int main(void) {
    char text[64];
    int null = MUST(open("/dev/null", O_RDWR)), zero = MUST(open("/dev/zero", O_RDWR)),
        full = MUST(open("/dev/full", O_RDWR));
    SHOW(write(null, "gone", 4));
    SHOW(read(null, text, 4));
    memset(text, 'x', sizeof text);
    SHOW(read(zero, text, 16));
    IS(text[0] == 0 && text[15] == 0 && text[16] == 'x');
    SHOW(write(zero, text, 16));
    SHOW(write(full, text, 16));
    int random = MUST(open("/dev/urandom", O_RDONLY));
    SHOW(read(random, text, 64));
    SHOW(lseek(null, 100, SEEK_SET));
    char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, zero, 0);
    IS(map != MAP_FAILED && map[5000] == 0);
    map[5000] = 1;
    SHOW(mmap(NULL, 4096, PROT_READ, MAP_SHARED, null, 0) == MAP_FAILED ? -errno : 0);
    struct winsize size;
    struct termios mode;
    SHOW(ioctl(null, TIOCGWINSZ, &size));
    SHOW(tcgetattr(null, &mode));
    SHOW(ioctl(zero, 0xdeadbeef, text));
    SHOW(ioctl(-1, TIOCGWINSZ, &size));
    SHOW(access("/dev/stdin", F_OK));
    const char *names[] = {"/dev/stdin", "/dev/stdout", "/dev/stderr", "/dev/fd"};
    for (int i = 0; i < 4; i++) {
        memset(text, 0, sizeof text);
        long got = readlink(names[i], text, sizeof text - 1);
        printf("%s -> %s\n", names[i], got > 0 ? text : error_name(errno));
    }
    /* A standard output of our own making: the one we were given may belong to somebody else. */
    int fds[2];
    MUST(pipe(fds));
    pid_t child = fork_flushed();
    if (!child) {
        MUST(dup2(fds[1], 1));
        int out = open("/dev/stdout", O_WRONLY);
        _exit(write(out, "through", 7) == 7 ? 0 : errno);
    }
    reap("writer", child);
    memset(text, 0, sizeof text);
    SHOW(read(fds[0], text, 7));
    printf("%s\n", text);
    SHOW(access("/dev/shm", W_OK));
    SHOW(access("/dev/ptmx", R_OK | W_OK));
    SHOW(access("/dev/tty", F_OK));
    return 0;
}
