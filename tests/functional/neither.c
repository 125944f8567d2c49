/* Opens for what ioctl(2) alone needs, in each way that there is. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int count, char **argv) {
    struct open_how how = {.flags = O_ACCMODE};
    const char *path = argv[count - 1];
    long fds[] = {syscall(SYS_open, path, O_ACCMODE),
                  syscall(SYS_openat, AT_FDCWD, path, O_ACCMODE),
                  syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how)};
    int opened = (fds[0] >= 0) + (fds[1] >= 0) + (fds[2] >= 0);
    printf("%s: %s\n", path, opened == 3 ? "ok" : opened ? "differs" : strerrorname_np(errno));
    return 0;
}
