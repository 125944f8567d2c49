/* Path resolution, errno by errno; openat2's RESOLVE flags. */
#include "check.h"
#include <linux/openat2.h>

static long open_how(int dirfd, const char *path, uint64_t flags, uint64_t resolve, size_t size) {
    struct open_how how = {.flags = flags, .resolve = resolve};
    return syscall(SYS_openat2, dirfd, path, &how, size);
}
static const size_t how_size = sizeof(struct open_how);

static void names(void) {
    char name[5000];
    title("lengths");
    memset(name, 'n', sizeof name);
    name[255] = 0;
    SHOW(open(name, O_RDONLY));
    name[255] = 'n';
    name[256] = 0;
    SHOW(open(name, O_RDONLY));
    memset(name, '/', sizeof name);
    name[4095] = 0;
    OK(open(name, O_RDONLY));
    name[4095] = '/';
    name[4096] = 0;
    SHOW(open(name, O_RDONLY));
    for (int i = 0; i < 4998; i += 2)
        memcpy(name + i, "./", 2);
    name[4094] = 0;
    OK(open(name, O_RDONLY));
    name[4094] = '.';
    name[4998] = 0;
    SHOW(stat(name, &(struct stat){0}));
}

static void pointers(void) {
    title("pointers");
    char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(page + 4096, 4096);
    memset(page, 'x', 4096);
    SHOW(syscall(SYS_open, NULL, O_RDONLY));
    SHOW(syscall(SYS_open, (char *)1, O_RDONLY));
    SHOW(syscall(SYS_open, (char *)-1, O_RDONLY));
    SHOW(syscall(SYS_open, (char *)(1ul << 47), O_RDONLY));
    SHOW(syscall(SYS_open, (char *)(1ul << 63), O_RDONLY));
    SHOW(syscall(SYS_open, page + 4090, O_RDONLY));
    page[4095] = 0;
    SHOW(syscall(SYS_open, page + 4090, O_RDONLY));
    strcpy(page + 4096 - 5, "/etc");
    OK(syscall(SYS_open, page + 4096 - 5, O_RDONLY));
    SHOW(syscall(SYS_stat, "/etc", 8));
    SHOW(syscall(SYS_stat, "/missing", 8));
    SHOW(syscall(SYS_readlink, "/proc/self/exe", 8, 100));
    SHOW(syscall(SYS_rename, "missing", NULL));
    SHOW(syscall(SYS_rename, NULL, "missing"));
    SHOW(syscall(SYS_openat, AT_FDCWD, "", O_RDONLY));
    SHOW(syscall(SYS_chdir, NULL));
    SHOW(syscall(SYS_access, 16, F_OK));
}

static void walks(void) {
    title("walks");
    MUST(mkdir("d", 0755));
    write_file("d/f", "text");
    MUST(symlink("loop", "loop"));
    MUST(symlink("d", "to-d"));
    MUST(symlink("missing", "dangling"));
    MUST(symlink("../d/../d/f", "d/up"));
    SHOW(open("loop", O_RDONLY));
    SHOW(open("loop", O_RDONLY | O_NOFOLLOW));
    OK(open("loop", O_PATH | O_NOFOLLOW));
    SHOW(open("dangling", O_RDONLY));
    SHOW(open("dangling", O_CREAT | O_EXCL | O_WRONLY, 0600));
    OK(open("dangling", O_CREAT | O_WRONLY, 0600));
    OK(access("missing", F_OK));
    OK(open("to-d/f", O_RDONLY));
    SHOW(open("to-d", O_RDONLY | O_NOFOLLOW));
    OK(open("to-d/", O_RDONLY | O_NOFOLLOW));
    OK(open("d/up", O_RDONLY));
    SHOW(open("d/f/", O_RDONLY));
    SHOW(open("d/f/..", O_RDONLY));
    SHOW(open("d/new/", O_CREAT | O_WRONLY, 0600));
    OK(open("d//./f", O_RDONLY));
    OK(open("/../../etc", O_RDONLY));
    OK(open("//etc///.", O_RDONLY));
    char name[8] = "s0", target[8] = "d/f";
    for (int i = 0; i < 45; i++) {
        snprintf(name, sizeof name, "s%d", i);
        MUST(symlink(target, name));
        strcpy(target, name);
    }
    OK(open("s39", O_RDONLY));
    SHOW(open("s40", O_RDONLY));
    SHOW(stat("s44", &(struct stat){0}));
}

static void resolving(void) {
    title("openat2");
    int d = MUST(open("d", O_PATH));
    MUST(symlink("/etc", "d/absolute"));
    MUST(symlink("f", "d/relative"));
    OK(open_how(d, "f", O_RDONLY, 0, how_size));
    OK(open_how(d, "f", O_RDONLY, RESOLVE_BENEATH, how_size));
    SHOW(open_how(d, "../d/f", O_RDONLY, RESOLVE_BENEATH, how_size));
    SHOW(open_how(d, "/etc", O_RDONLY, RESOLVE_BENEATH, how_size));
    SHOW(open_how(d, "absolute", O_RDONLY, RESOLVE_BENEATH, how_size));
    SHOW(open_how(d, "absolute", O_RDONLY, RESOLVE_IN_ROOT, how_size));
    OK(open_how(d, "/../f", O_RDONLY, RESOLVE_IN_ROOT, how_size));
    OK(open_how(d, "relative", O_RDONLY, RESOLVE_BENEATH, how_size));
    SHOW(open_how(d, "relative", O_RDONLY, RESOLVE_NO_SYMLINKS, how_size));
    SHOW(open_how(AT_FDCWD, "/dev/null", O_RDONLY, RESOLVE_NO_XDEV, how_size) == -1 ? errno : 0);
    SHOW(open_how(d, "f", O_RDONLY, RESOLVE_BENEATH | RESOLVE_IN_ROOT, how_size));
    SHOW(open_how(d, "f", O_RDONLY, 1 << 20, how_size));
    SHOW(open_how(d, "f", 1ul << 40, 0, how_size));
    SHOW(open_how(d, "f", O_RDONLY, 0, 8));
    SHOW(open_how(d, "f", O_RDONLY, 0, 5000));
    struct {
        struct open_how how;
        uint64_t more;
    } longer = {.how.flags = O_RDONLY};
    OK(syscall(SYS_openat2, d, "f", &longer, sizeof longer));
    longer.more = 1;
    SHOW(syscall(SYS_openat2, d, "f", &longer, sizeof longer));
    SHOW(syscall(SYS_openat2, d, "f", NULL, how_size));
    SHOW(syscall(SYS_openat2, d, NULL, &longer, how_size));
}

int main(void) {
    enter_directory();
    names();
    pointers();
    walks();
    resolving();
    check_leave();
    return 0;
}
