/* How programs of tests try, and tell what became of it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static inline void tell(const char *what, long result) {
    printf("%s: %s\n", what, result < 0 ? strerrorname_np(errno) : "ok");
}

static inline long try_reading(const char *path) {
    int fd = open(path, O_RDONLY);
    if (fd >= 0)
        close(fd);
    return fd;
}
