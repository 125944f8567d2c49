/* readv, writev, preadv2 and the errors of vectors. */
#include "check.h"
#include <sys/uio.h>

static char *edge; /* last byte before an unmapped page, plus one */

static void plain(int fd) {
    title("vectors");
    struct iovec out[4] = {{"one ", 4}, {NULL, 0}, {"two ", 4}, {"three", 5}};
    SHOW(writev(fd, out, 4));
    char a[6] = {0}, b[6] = {0}, c[6] = {0};
    struct iovec in[3] = {{a, 5}, {b, 5}, {c, 5}};
    SHOW(preadv(fd, in, 3, 0));
    printf("%s|%s|%s\n", a, b, c);
    SHOW(lseek(fd, 0, SEEK_SET));
    SHOW(readv(fd, in, 2));
    SHOW(lseek(fd, 0, SEEK_CUR));
    SHOW(pwritev(fd, out, 1, 30));
    SHOW(preadv2(fd, in, 1, -1, 0));
    SHOW(lseek(fd, 0, SEEK_CUR));
    SHOW(preadv2(fd, in, 1, 0, RWF_HIPRI) == 5);
    SHOW(preadv2(fd, in, 1, 0, 0x40000000));
    SHOW(pwritev2(fd, out, 1, 0, RWF_APPEND));
    SHOW(pwritev2(fd, out, 1, 0, RWF_DSYNC | RWF_SYNC));
    SHOW(lseek(fd, 0, SEEK_END));
    SHOW(preadv(fd, in, 1, -5));
}

static void wrong(int fd) {
    title("bad vectors");
    char byte;
    struct iovec one = {&byte, 1};
    SHOW(readv(fd, NULL, 0));
    SHOW(readv(fd, NULL, 1));
    SHOW(readv(fd, (struct iovec *)8, 1));
    SHOW(syscall(SYS_readv, fd, &one, -1l));
    SHOW(syscall(SYS_readv, fd, &one, 1025l));
    SHOW(syscall(SYS_readv, fd, &one, 1l << 32 | 1));
    SHOW(readv(500, &one, 1));
    struct iovec many[1024];
    for (int i = 0; i < 1024; i++)
        many[i] = (struct iovec){"x", 1};
    SHOW(writev(fd, many, 1024));
    struct iovec huge[2] = {{"x", 1}, {&byte, SIZE_MAX}};
    SHOW(writev(fd, huge, 2));
    struct iovec most[2] = {{"x", 1}, {&byte, SIZE_MAX / 2}};
    SHOW(writev(fd, most, 2) > 0 || errno == EINVAL || errno == EFAULT);
    struct iovec hole[3] = {{"abc", 3}, {(void *)8, 3}, {"def", 3}};
    SHOW(lseek(fd, 0, SEEK_SET));
    SHOW(writev(fd, hole, 3));
    hole[0] = (struct iovec){(void *)8, 3};
    SHOW(writev(fd, hole, 3));
    struct iovec at_edge[2] = {{edge - 4, 8}, {"def", 3}};
    SHOW(lseek(fd, 0, SEEK_SET));
    SHOW(writev(fd, at_edge, 2));
    SHOW(write(fd, edge - 4, 8));
    SHOW(write(fd, edge, 8));
    SHOW(lseek(fd, 0, SEEK_SET));
    SHOW(read(fd, edge - 4, 8));
    SHOW(pread(fd, edge, 1, 0));
    SHOW(pread(fd, (char *)-8, 16, 0));
    SHOW(pread(fd, (char *)(1ul << 60), 16, 0));
    SHOW(pread(fd, edge, 0, 0));
    SHOW(pread(fd, (void *)8, 0, 0));
    SHOW(pread(fd, &byte, 1, 1l << 62));
    SHOW(syscall(SYS_read, fd, &byte, -1l));
    /* The vector itself ends at the edge. */
    struct iovec *last = (struct iovec *)edge - 1;
    *last = one;
    SHOW(preadv(fd, last, 1, 0));
    SHOW(preadv(fd, last, 2, 0));
}

static void read_only_target(int fd) {
    title("read-only memory");
    char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    SHOW(pread(fd, page, 4, 0));
    SHOW(pwrite(fd, page, 4, 100));
    mprotect(page, 4096, PROT_NONE);
    SHOW(pwrite(fd, page, 4, 100));
    mprotect(page, 4096, PROT_WRITE);
    SHOW(pread(fd, page, 4, 0));
    SHOW(pread(fd, (void *)(uintptr_t)plain, 4, 0));
}

int main(void) {
    enter_directory();
    char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(map + 4096, 4096);
    edge = map + 4096;
    int fd = MUST(open("f", O_RDWR | O_CREAT, 0600));
    plain(fd);
    wrong(fd);
    read_only_target(fd);
    check_leave();
    return 0;
}
