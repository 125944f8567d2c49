/* mmap, munmap, mprotect, mremap, madvise, mincore, msync, mlock, brk: results and errors. */
#include "check.h"

#define PAGE 4096ul
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW (PROT_READ | PROT_WRITE)

static char *map(size_t pages, int prot) {
    char *at = mmap(NULL, pages * PAGE, prot, ANON, -1, 0);
    return MUST(at);
}
/* Which of the pages are mapped at all, as mincore sees it. */
static void shape(const char *name, char *at, int pages) {
    unsigned char state;
    printf("%s: ", name);
    for (int i = 0; i < pages; i++)
        putchar(mincore(at + i * PAGE, PAGE, &state) == 0 ? '#' : '.');
    putchar('\n');
}

static void mapping(int fd) {
    title("mmap");
    SHOW(mmap(NULL, 0, RW, ANON, -1, 0));
    SHOW(mmap(NULL, PAGE, RW, MAP_ANONYMOUS, -1, 0));
    SHOW(mmap(NULL, PAGE, RW, ANON, -1, 1));
    SHOW(mmap(NULL, PAGE, RW, MAP_PRIVATE, 600, 0));
    SHOW(mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 100));
    SHOW(mmap(NULL, -1ul, RW, ANON, -1, 0));
    SHOW(mmap(NULL, 1ul << 47, PROT_NONE, ANON | MAP_NORESERVE, -1, 0));
    SHOW(mmap((void *)1, PAGE, RW, ANON | MAP_FIXED, -1, 0));
    SHOW(mmap((void *)(1ul << 62), PAGE, RW, ANON | MAP_FIXED, -1, 0));
    SHOW(mmap((void *)-4096, PAGE, RW, ANON | MAP_FIXED, -1, 0));
    SHOW(mmap(NULL, PAGE, RW, MAP_SHARED_VALIDATE | 1 << 24, fd, 0));
    int reader = MUST(open("f", O_RDONLY));
    SHOW(mmap(NULL, PAGE, RW, MAP_SHARED, reader, 0));
    OK(mmap(NULL, PAGE, RW, MAP_PRIVATE, reader, 0));
    int writer = MUST(open("f", O_WRONLY));
    SHOW(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, writer, 0));
    int directory = MUST(open(".", O_RDONLY));
    SHOW(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, directory, 0));
    int fds[2];
    MUST(pipe(fds));
    SHOW(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fds[0], 0));
    char *at = map(4, RW);
    SHOW(mmap(at + PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0));
    MUST(munmap(at + PAGE, PAGE));
    SHOW(mmap(at + PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == at + PAGE);
    strcpy(at + PAGE, "old");
    SHOW(mmap(at + PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0) == at + PAGE);
    printf("fresh %d\n", at[PAGE] == 0);
    MUST(munmap(at, 4 * PAGE));
    SHOW(mmap(at, PAGE, RW, ANON, -1, 0) == at);
    SHOW(mmap(at + 5, PAGE, RW, ANON, -1, 0) != MAP_FAILED);
    OK(mmap(NULL, PAGE, RW, ANON | MAP_POPULATE | MAP_LOCKED, -1, 0));
    OK(mmap(NULL, PAGE, RW, ANON | MAP_STACK | MAP_GROWSDOWN, -1, 0));
    IS((uintptr_t)mmap(NULL, PAGE, RW, ANON | MAP_32BIT, -1, 0) < 1ul << 31);
}

static void file_backed(int fd) {
    title("files");
    char *shared = MUST(mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0));
    char *private = MUST(mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE, fd, 0));
    strcpy(shared, "through the map");
    char text[32] = {0};
    SHOW(pread(fd, text, 15, 0));
    printf("%s / %s\n", text, private);
    strcpy(private, "mine");
    printf("%s / %s\n", shared, private);
    SHOW(pwrite(fd, "WRITTEN", 7, PAGE));
    printf("%s / %s\n", shared + PAGE, private + PAGE);
    SHOW(msync(shared, 2 * PAGE, MS_SYNC));
    SHOW(msync(shared + 1, PAGE, MS_SYNC));
    SHOW(msync(shared, PAGE, MS_SYNC | MS_ASYNC));
    SHOW(msync(shared, PAGE, 64));
    MUST(munmap(shared + PAGE, PAGE));
    SHOW(msync(shared, 2 * PAGE, MS_ASYNC));
    char *second = MUST(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, PAGE));
    printf("at an offset: %s\n", second);
    SHOW(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 1l << 62) != MAP_FAILED);
}

static void unmapping(void) {
    title("munmap");
    char *at = map(8, RW);
    SHOW(munmap(at + 1, PAGE));
    SHOW(munmap(at, 0));
    SHOW(munmap(at + 2 * PAGE, PAGE));
    SHOW(munmap(at + 2 * PAGE, PAGE));
    SHOW(munmap(at + 5 * PAGE, PAGE + 1));
    shape("after", at, 8);
    SHOW(munmap((void *)(1ul << 63), PAGE));
    SHOW(munmap(at, -1ul));
    SHOW(munmap(at, 8 * PAGE));
    shape("gone", at, 8);
}

static void protecting(void) {
    title("mprotect");
    char *at = map(4, RW);
    SHOW(mprotect(at + 1, PAGE, PROT_READ));
    SHOW(mprotect(at, 0, PROT_READ));
    SHOW(mprotect(at, PAGE, 0x100));
    SHOW(mprotect(at, PAGE, PROT_READ | PROT_GROWSUP | PROT_GROWSDOWN));
    MUST(munmap(at + 2 * PAGE, PAGE));
    SHOW(mprotect(at, 4 * PAGE, PROT_READ));
    SHOW(read(0, NULL, 0));
    SHOW(mprotect(at + 3 * PAGE, PAGE, PROT_NONE));
    SHOW(mprotect(at, PAGE, RW | PROT_EXEC));
    at[0] = (char)0xc3;
    ((void (*)(void))(uintptr_t)at)();
    printf("executed\n");
    int reader = MUST(open("f", O_RDONLY));
    char *shared = MUST(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, reader, 0));
    SHOW(mprotect(shared, PAGE, RW));
}

static void moving(void) {
    title("mremap");
    char *at = map(4, RW);
    strcpy(at, "start");
    strcpy(at + 3 * PAGE, "end");
    SHOW(mremap(at, 0, PAGE, MREMAP_MAYMOVE));
    SHOW(mremap(at + 1, PAGE, PAGE, 0));
    SHOW(mremap(at, PAGE, 0, 0));
    SHOW(mremap(at, PAGE, PAGE, 0x40));
    SHOW(mremap(at, 4 * PAGE, 2 * PAGE, 0) == at);
    shape("shrunk", at, 4);
    char *big = mremap(at, 2 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
    printf("grown: %s\n", big == MAP_FAILED ? error_name(errno) : big);
    char *target = map(8, RW);
    strcpy(target, "covered");
    char *moved = mremap(big, 64 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target);
    printf("fixed: %d %s\n", moved == target, moved);
    shape("source", big, 4);
    SHOW(mremap(target, 4 * PAGE, 4 * PAGE, MREMAP_FIXED, at));
    SHOW(mremap(target, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target + PAGE));
    SHOW(mremap((void *)(1ul << 40), PAGE, 2 * PAGE, MREMAP_MAYMOVE));
    char *kept = mremap(target, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0);
    printf("dontunmap: %s, old empty %d\n", kept == MAP_FAILED ? error_name(errno) : kept,
           target[0] == 0);
    char *twice = MUST(mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    strcpy(twice, "alias");
    char *alias = mremap(twice, 0, PAGE, MREMAP_MAYMOVE);
    printf("second view: %s\n", alias == MAP_FAILED ? error_name(errno) : alias);
}

static void advising(void) {
    title("madvise, mincore, mlock");
    char *at = map(4, RW);
    memset(at, 'x', 4 * PAGE);
    SHOW(madvise(at + PAGE, PAGE, MADV_DONTNEED));
    printf("zero %d, rest %d\n", at[PAGE] == 0, at[0] == 'x' && at[2 * PAGE] == 'x');
    SHOW(madvise(at + 1, PAGE, MADV_DONTNEED));
    SHOW(madvise(at, PAGE, 12345));
    SHOW(madvise(at, 0, MADV_NORMAL));
    SHOW(madvise(at, PAGE, MADV_WILLNEED));
    SHOW(madvise(at, PAGE, MADV_HUGEPAGE) == 0 || errno == EINVAL);
    SHOW(madvise(at, PAGE, MADV_FREE));
    SHOW(madvise(at, PAGE, MADV_DONTDUMP));
    SHOW(madvise(at, PAGE, MADV_POPULATE_WRITE));
    unsigned char state[4];
    SHOW(mincore(at, 4 * PAGE, state));
    SHOW(mincore(at + 1, PAGE, state));
    SHOW(mincore(at, PAGE, (void *)8));
    MUST(munmap(at + 2 * PAGE, PAGE));
    SHOW(madvise(at, 4 * PAGE, MADV_NORMAL));
    SHOW(madvise(at, 4 * PAGE, MADV_DONTNEED));
    SHOW(mincore(at, 4 * PAGE, state));
    SHOW(mlock(at, PAGE));
    SHOW(munlock(at, PAGE));
    SHOW(mlock(at, 4 * PAGE));
    SHOW(mlockall(0));
    char *wiped = map(1, RW);
    strcpy(wiped, "secret");
    SHOW(madvise(wiped, PAGE, MADV_WIPEONFORK));
    char *hidden = map(1, RW);
    SHOW(madvise(hidden, PAGE, MADV_DONTFORK));
    pid_t child = fork_flushed();
    if (!child) {
        printf("wiped %d\n", wiped[0] == 0);
        shape("hidden in the child", hidden, 1);
        leave_child(0);
    }
    reap("child", child);
    shape("hidden in the parent", hidden, 1);
}

static void breaking(void) {
    title("brk");
    char *start = (char *)syscall(SYS_brk, 0);
    SHOW(syscall(SYS_brk, start + 100 * PAGE + 5) == (long)(start + 100 * PAGE + 5));
    start[100 * PAGE] = 7;
    printf("zero %d\n", start[50 * PAGE]);
    SHOW(syscall(SYS_brk, start + PAGE) == (long)(start + PAGE));
    SHOW(syscall(SYS_brk, start + 101 * PAGE) == (long)(start + 101 * PAGE));
    printf("zero again %d\n", start[100 * PAGE]);
    SHOW(syscall(SYS_brk, 1) == (long)(start + 101 * PAGE));
    SHOW(syscall(SYS_brk, -1l) == (long)(start + 101 * PAGE));
    SHOW(syscall(SYS_brk, start) == (long)start);
    SHOW(mincore(start + PAGE, PAGE, (unsigned char[1]){0}));
}

int main(void) {
    enter_directory();
    int fd = MUST(open("f", O_RDWR | O_CREAT, 0600));
    MUST(ftruncate(fd, 2 * PAGE));
    mapping(fd);
    file_backed(fd);
    unmapping();
    protecting();
    moving();
    advising();
    breaking();
    check_leave();
    return 0;
}
