/* mkdir, rmdir, getdents64, chdir, getcwd, directories by descriptor. */
#include "check.h"
#include <dirent.h>

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list(const char *path) {
    char *names[512];
    int count = 0;
    DIR *dir = opendir(path);
    if (!dir) {
        printf("%s: %s\n", path, error_name(errno));
        return;
    }
    for (struct dirent *entry; (entry = readdir(dir)) && count < 512;) {
        char line[300];
        snprintf(line, sizeof line, "%s/%d", entry->d_name, entry->d_type);
        names[count++] = strdup(line);
    }
    closedir(dir);
    qsort(names, count, sizeof *names, by_name);
    printf("%s holds %d:", path, count);
    for (int i = 0; i < count && i < 12; i++)
        printf(" %s", names[i]);
    printf("\n");
}

static void making(void) {
    title("making");
    SHOW(mkdir("d", 0777));
    SHOW(mkdir("d", 0777));
    SHOW(mkdir("missing/d", 0777));
    SHOW(mkdir("", 0777));
    SHOW(mkdir("d/", 0777));
    SHOW(mkdir("e/", 0700));
    SHOW(mkdirat(AT_FDCWD, "d/f", 01777));
    SHOW(mkdirat(77, "x", 0777));
    struct stat info;
    SHOW(stat("d", &info));
    printf("mode %o links %lu\n", info.st_mode, (unsigned long)info.st_nlink);
    write_file("d/file", "x");
    MUST(symlink("file", "d/link"));
    MUST(mkfifo("d/fifo", 0600));
    SHOW(mknod("d/regular", S_IFREG | 0600, 0));
    SHOW(mknod("d/device", S_IFCHR | 0600, 0x103));
    SHOW(mknod("d/bad", 0170000, 0));
    list("d");
    list("missing");
    list("d/file");
    SHOW(rmdir("d"));
    SHOW(rmdir("d/file"));
    SHOW(rmdir("d/f"));
    SHOW(rmdir("d/f"));
    SHOW(rmdir("."));
    SHOW(rmdir("d/.."));
    SHOW(rmdir("/"));
    SHOW(unlink("d"));
    SHOW(unlinkat(AT_FDCWD, "e", AT_REMOVEDIR));
    SHOW(unlinkat(AT_FDCWD, "d/file", AT_REMOVEDIR));
    SHOW(unlinkat(AT_FDCWD, "d/file", 0x10000));
}

static void moving(void) {
    title("working directory");
    char here[256], text[256];
    MUST(getcwd(here, sizeof here) ? 0 : -1);
    SHOW(chdir("d"));
    MUST(getcwd(text, sizeof text) ? 0 : -1);
    printf("below: %s\n", text + strlen(here));
    int up = MUST(open("..", O_RDONLY | O_DIRECTORY));
    SHOW(chdir("missing"));
    SHOW(chdir("file"));
    SHOW(fchdir(up));
    MUST(getcwd(text, sizeof text) ? 0 : -1);
    printf("back: %s\n", strcmp(text, here) ? "no" : "yes");
    SHOW(fchdir(0));
    SHOW(fchdir(1000));
    SHOW(syscall(SYS_getcwd, text, 2));
    SHOW(syscall(SYS_getcwd, text, 0));
    SHOW(syscall(SYS_getcwd, text, sizeof text) == (long)strlen(here) + 1);
    MUST(mkdir("gone", 0700));
    MUST(chdir("gone"));
    MUST(rmdir("../gone"));
    SHOW(syscall(SYS_getcwd, text, sizeof text));
    SHOW(open("x", O_CREAT | O_WRONLY, 0600));
    SHOW(mkdir("x", 0700));
    SHOW(open(".", O_RDONLY) >= 0);
    MUST(chdir(here));
    int d = MUST(open("d", O_PATH | O_DIRECTORY));
    SHOW(openat(d, "file", O_RDONLY) >= 0);
    SHOW(faccessat(d, "link", F_OK, 0));
    SHOW(openat(up, "d/../d/file", O_RDONLY) >= 0);
    int file = MUST(open("d/file", O_RDONLY));
    SHOW(openat(file, "x", O_RDONLY));
    SHOW(openat(500, "x", O_RDONLY));
    SHOW(openat(500, "/etc", O_RDONLY) >= 0);
}

static void reading(void) {
    title("getdents64");
    MUST(mkdir("many", 0700));
    for (int i = 0; i < 300; i++) {
        char path[32];
        snprintf(path, sizeof path, "many/entry-%03d", i);
        close(MUST(open(path, O_CREAT | O_WRONLY, 0600)));
    }
    list("many");
    int fd = MUST(open("many", O_RDONLY | O_DIRECTORY));
    char buffer[512];
    int calls = 0, entries = 0;
    for (long got; (got = syscall(SYS_getdents64, fd, buffer, sizeof buffer)) > 0; calls++)
        for (long at = 0; at < got; at += ((struct dirent64 *)(buffer + at))->d_reclen)
            entries++;
    printf("entries %d, more than ten calls: %d\n", entries, calls > 10);
    SHOW(syscall(SYS_getdents64, fd, buffer, sizeof buffer));
    SHOW(lseek(fd, 0, SEEK_SET));
    SHOW(syscall(SYS_getdents64, fd, buffer, 4));
    SHOW(syscall(SYS_getdents64, fd, (void *)8, sizeof buffer));
    SHOW(syscall(SYS_getdents64, 0, buffer, sizeof buffer));
    SHOW(syscall(SYS_getdents64, 600, buffer, sizeof buffer));
    SHOW(syscall(SYS_getdents, fd, buffer, sizeof buffer) > 0);
    SHOW(read(fd, buffer, 10));
}

int main(void) {
    enter_directory();
    making();
    moving();
    reading();
    check_leave();
    return 0;
}
