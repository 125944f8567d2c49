/* Pipes and FIFOs: capacity, non-blocking, end of file, SIGPIPE, packets. */
#include "check.h"
#include <poll.h>
#include <sys/ioctl.h>

static volatile sig_atomic_t broken;
static void on_pipe(int signal) {
    (void)signal;
    broken++;
}

static void basics(void) {
    title("pipe");
    int fds[2];
    char text[16] = {0};
    SHOW(pipe2(fds, O_NONBLOCK | O_CLOEXEC));
    SHOW(read(fds[0], text, 4));
    SHOW(write(fds[1], "abcdef", 6));
    int left = 0;
    SHOW(ioctl(fds[0], FIONREAD, &left));
    printf("left %d\n", left);
    SHOW(read(fds[0], text, 4));
    SHOW(read(fds[0], text, 16));
    SHOW(read(fds[1], text, 1));
    SHOW(write(fds[0], text, 1));
    SHOW(lseek(fds[0], 0, SEEK_SET));
    SHOW(pread(fds[0], text, 1, 0));
    static char block[70000];
    SHOW(write(fds[1], block, sizeof block));
    SHOW(write(fds[1], "x", 1));
    SHOW(close(fds[0]));
    signal(SIGPIPE, on_pipe);
    SHOW(write(fds[1], "x", 1));
    printf("SIGPIPE taken %d\n", broken);
    signal(SIGPIPE, SIG_IGN);
    SHOW(write(fds[1], "x", 1));
    SHOW(pipe2(fds, 0x4));
    SHOW(syscall(SYS_pipe2, NULL, 0));
    SHOW(syscall(SYS_pipe, 8));
    MUST(pipe(fds));
    close(fds[1]);
    SHOW(read(fds[0], text, 1));
    struct pollfd event = {fds[0], POLLIN, 0};
    SHOW(poll(&event, 1, 0));
    printf("events %x\n", event.revents);
}

static void killed(void) {
    title("killed by SIGPIPE");
    pid_t child = fork_flushed();
    if (!child) {
        int fds[2];
        signal(SIGPIPE, SIG_DFL);
        MUST(pipe(fds));
        close(fds[0]);
        (void)!write(fds[1], "x", 1);
        leave_child(0);
    }
    reap("writer", child);
}

static void packets(void) {
    title("packets");
    int fds[2];
    char text[16];
    SHOW(pipe2(fds, O_DIRECT));
    SHOW(write(fds[1], "one", 3));
    SHOW(write(fds[1], "three", 5));
    SHOW(read(fds[0], text, 16));
    SHOW(read(fds[0], text, 2));
    close(fds[1]);
    SHOW(read(fds[0], text, 16));
}

static void blocking(void) {
    title("blocking");
    int fds[2];
    MUST(pipe(fds));
    pid_t child = fork_flushed();
    if (!child) {
        static char block[300000];
        close(fds[0]);
        for (size_t i = 0; i < sizeof block; i++)
            block[i] = (char)(i * 7);
        SHOW(write(fds[1], block, sizeof block));
        leave_child(0);
    }
    close(fds[1]);
    unsigned sum = 0, total = 0;
    unsigned char part[1000];
    for (long got; (got = read(fds[0], part, sizeof part)) > 0; total += (unsigned)got)
        for (long i = 0; i < got; i++)
            sum = sum * 31 + part[i];
    reap("writer", child);
    printf("read %u sum %x\n", total, sum);
}

static void fifos(void) {
    title("fifo");
    SHOW(mkfifo("fifo", 0600));
    SHOW(mkfifo("fifo", 0600));
    SHOW(open("fifo", O_WRONLY | O_NONBLOCK));
    int reader = MUST(open("fifo", O_RDONLY | O_NONBLOCK));
    char text[8] = {0};
    SHOW(read(reader, text, 8));
    int writer = MUST(open("fifo", O_WRONLY | O_NONBLOCK));
    SHOW(read(reader, text, 8));
    SHOW(write(writer, "fifo", 4));
    SHOW(read(reader, text, 8));
    close(writer);
    close(reader);
    pid_t child = fork_flushed();
    if (!child) {
        int fd = MUST(open("fifo", O_WRONLY));
        MUST(write(fd, "met", 3));
        leave_child(0);
    }
    int met = MUST(open("fifo", O_RDONLY));
    memset(text, 0, sizeof text);
    SHOW(read(met, text, 8));
    printf("%s\n", text);
    reap("writer", child);
}

int main(void) {
    enter_directory();
    basics();
    killed();
    packets();
    blocking();
    fifos();
    check_leave();
    return 0;
}
