/* dup, fcntl, close_range, status flags, POSIX and open-file-description locks. */
#include "check.h"
#include <linux/close_range.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

static void duplicates(void) {
    title("dup");
    int fd = MUST(open("f", O_RDWR | O_CREAT, 0600));
    SHOW(dup(fd) == fd + 1);
    SHOW(dup2(fd, fd));
    SHOW(dup2(fd, 40));
    SHOW(dup2(800, 800));
    SHOW(dup2(fd, -1));
    SHOW(dup2(fd, 1 << 30));
    SHOW(dup3(fd, 41, O_CLOEXEC));
    SHOW(fcntl(41, F_GETFD));
    SHOW(dup3(fd, fd, 0));
    SHOW(dup3(fd, 42, 0x80));
    SHOW(fcntl(fd, F_DUPFD, 60));
    SHOW(fcntl(fd, F_DUPFD, 60));
    SHOW(fcntl(fd, F_DUPFD_CLOEXEC, 60));
    SHOW(fcntl(62, F_GETFD));
    SHOW(fcntl(fd, F_DUPFD, -1));
    SHOW(fcntl(fd, F_DUPFD, 1 << 30));
    SHOW(fcntl(999, F_GETFD));
    SHOW(fcntl(fd, 9999));
    SHOW(write(fd, "shared", 6));
    SHOW(lseek(40, 0, SEEK_CUR));
    SHOW(syscall(SYS_close_range, 40, 70, 0));
    SHOW(fcntl(40, F_GETFD));
    SHOW(syscall(SYS_close_range, 70, 40, 0));
    SHOW(syscall(SYS_close_range, 40, 70, 1 << 10));
    MUST(dup2(fd, 50));
    SHOW(syscall(SYS_close_range, 45, ~0u, CLOSE_RANGE_CLOEXEC));
    SHOW(fcntl(50, F_GETFD));
    SHOW(syscall(SYS_close_range, 45, ~0u, CLOSE_RANGE_UNSHARE));
    SHOW(fcntl(50, F_GETFD));
    SHOW(close(-1));
    SHOW(close(1 << 30));
}

static void flags(void) {
    title("flags");
    int fd = MUST(open("f", O_RDWR | O_APPEND));
    printf("flags %x\n", MUST(fcntl(fd, F_GETFL)));
    SHOW(fcntl(fd, F_SETFL, O_NONBLOCK));
    printf("flags %x\n", MUST(fcntl(fd, F_GETFL)));
    SHOW(fcntl(fd, F_SETFD, FD_CLOEXEC));
    SHOW(fcntl(fd, F_GETFD));
    SHOW(ioctl(fd, FIONCLEX));
    SHOW(fcntl(fd, F_GETFD));
    SHOW(ioctl(fd, FIOCLEX));
    SHOW(fcntl(fd, F_GETFD));
    int on = 1;
    SHOW(ioctl(fd, FIONBIO, &on));
    printf("flags %x\n", MUST(fcntl(fd, F_GETFL)));
    SHOW(ioctl(fd, FIONBIO, 8));
    int left = -1;
    SHOW(ioctl(fd, FIONREAD, &left));
    printf("left %d\n", left);
    SHOW(ioctl(fd, 0x5401, &left));
    SHOW(ioctl(900, FIONREAD, &left));
    SHOW(fcntl(fd, F_GETOWN));
    SHOW(fcntl(fd, F_SETOWN, getpid()));
    SHOW(fcntl(fd, F_GETOWN) == getpid());
    SHOW(fcntl(fd, F_SETSIG, 0));
    int pipes[2];
    MUST(pipe(pipes));
    SHOW(fcntl(pipes[0], F_GETPIPE_SZ));
    SHOW(fcntl(pipes[0], F_SETPIPE_SZ, 5000));
    SHOW(fcntl(fd, F_GETPIPE_SZ));
    SHOW(fcntl(fd, F_SETLEASE, F_WRLCK));
    SHOW(fcntl(fd, F_GETLEASE));
}

static void posix_locks(void) {
    title("record locks");
    int fd = MUST(open("f", O_RDWR));
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 5};
    SHOW(fcntl(fd, F_SETLK, &lock));
    int seen[2];
    char byte;
    MUST(pipe(seen));
    pid_t parent = getpid(), child = fork_flushed();
    if (!child) {
        struct flock wanted = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 12, .l_len = 1};
        SHOW(fcntl(fd, F_SETLK, &wanted));
        SHOW(fcntl(fd, F_GETLK, &wanted));
        printf("held: type %d start %ld len %ld parent %d\n", wanted.l_type, (long)wanted.l_start,
               (long)wanted.l_len, wanted.l_pid == parent);
        wanted = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 20, .l_len = 0};
        SHOW(fcntl(fd, F_SETLK, &wanted));
        wanted = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 1};
        alarm(60);
        MUST(write(seen[1], "", 1));
        SHOW(fcntl(fd, F_SETLKW, &wanted));
        leave_child(0);
    }
    MUST(read(seen[0], &byte, 1));
    pause_ms(10); /* the child probably waits by now */
    lock.l_type = F_UNLCK;
    MUST(fcntl(fd, F_SETLK, &lock));
    reap("locker", child);
    lock.l_type = 77;
    SHOW(fcntl(fd, F_SETLK, &lock));
    lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = -5};
    SHOW(fcntl(fd, F_SETLK, &lock));
    SHOW(fcntl(fd, F_SETLK, NULL));
    int reader = MUST(open("f", O_RDONLY));
    lock = (struct flock){.l_type = F_WRLCK};
    SHOW(fcntl(reader, F_SETLK, &lock));
}

static void description_locks(void) {
    title("open file description locks");
    int one = MUST(open("f", O_RDWR)), two = MUST(open("f", O_RDWR));
    struct flock lock = {.l_type = F_WRLCK, .l_len = 5};
    SHOW(fcntl(one, F_OFD_SETLK, &lock));
    SHOW(fcntl(two, F_OFD_SETLK, &lock));
    SHOW(fcntl(two, F_OFD_GETLK, &lock));
    printf("type %d pid %d\n", lock.l_type, lock.l_pid);
    lock = (struct flock){.l_type = F_WRLCK, .l_len = 5, .l_pid = 7};
    SHOW(fcntl(one, F_OFD_SETLK, &lock));
    close(one);
    lock.l_pid = 0;
    SHOW(fcntl(two, F_OFD_SETLK, &lock));
}

static void exhausted(void) {
    title("too many");
    struct rlimit limit = {32, 32};
    MUST(setrlimit(RLIMIT_NOFILE, &limit));
    int count = 0;
    while (dup(0) >= 0)
        count++;
    printf("last error %s, some were free %d\n", error_name(errno), count > 0 && count < 32);
    SHOW(open("f", O_RDONLY));
    SHOW(pipe((int[2]){0}));
    SHOW(dup2(0, 31));
    SHOW(dup2(0, 32));
    SHOW(fcntl(0, F_DUPFD, 32));
}

int main(void) {
    enter_directory();
    duplicates();
    flags();
    posix_locks();
    description_locks();
    check_leave();
    exhausted();
    return 0;
}
