/* memfd_create and seals. */
#include "check.h"

#define PAGE 4096ul
#define RW (PROT_READ | PROT_WRITE)

int main(void) {
    int plain = MUST(memfd_create("plain", 0));
    SHOW(fcntl(plain, F_GET_SEALS));
    SHOW(fcntl(plain, F_ADD_SEALS, F_SEAL_WRITE));
    int fd = MUST(memfd_create("sealed", MFD_ALLOW_SEALING | MFD_CLOEXEC));
    SHOW(fcntl(fd, F_GET_SEALS));
    SHOW(memfd_create("x", 0x10000));
    SHOW(memfd_create(NULL, 0));
    char name[300];
    memset(name, 'n', sizeof name);
    name[299] = 0;
    SHOW(memfd_create(name, 0));
    SHOW(ftruncate(fd, 2 * PAGE));
    SHOW(write(fd, "hello", 5));
    char *map = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
    SHOW(ftruncate(fd, PAGE));
    SHOW(ftruncate(fd, 3 * PAGE));
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
    SHOW(ftruncate(fd, 4 * PAGE));
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    map[0] = 'J';
    SHOW(munmap(map, PAGE));
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    SHOW(pwrite(fd, "x", 1, 0));
    SHOW(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0) == MAP_FAILED ? -errno : 0);
    char *copy = mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0);
    copy[1] = 'E';
    printf("%s\n", copy);
    char *view = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
    printf("%s\n", view);
    SHOW(mprotect(view, PAGE, RW));
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL));
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
    SHOW(fcntl(fd, F_GET_SEALS));
    int future = MUST(memfd_create("future", MFD_ALLOW_SEALING));
    MUST(ftruncate(future, PAGE));
    char *old = mmap(NULL, PAGE, RW, MAP_SHARED, future, 0);
    SHOW(fcntl(future, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
    old[0] = 'x';
    SHOW(write(future, "y", 1));
    SHOW(mmap(NULL, PAGE, RW, MAP_SHARED, future, 0) == MAP_FAILED ? -errno : 0);
    SHOW(fcntl(0, F_GET_SEALS));
    struct stat info;
    MUST(fstat(fd, &info));
    printf("mode %o size %ld\n", info.st_mode, (long)info.st_size);
    return 0;
}
