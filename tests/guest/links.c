/* link, symlink, readlink, rename, renameat2, unlink. */
#include "check.h"
#include <linux/fs.h>

static void hard(void) {
    title("link");
    write_file("a", "one");
    SHOW(link("a", "b"));
    SHOW(link("a", "b"));
    SHOW(link("missing", "c"));
    SHOW(link(".", "c"));
    SHOW(link("a", "missing/c"));
    struct stat one, two;
    MUST(stat("a", &one));
    MUST(stat("b", &two));
    printf("same %d links %lu\n", one.st_ino == two.st_ino, (unsigned long)one.st_nlink);
    SHOW(linkat(AT_FDCWD, "a", AT_FDCWD, "c", 0x8000));
    MUST(symlink("a", "soft"));
    SHOW(linkat(AT_FDCWD, "soft", AT_FDCWD, "hard-soft", 0));
    SHOW(linkat(AT_FDCWD, "soft", AT_FDCWD, "hard-file", AT_SYMLINK_FOLLOW));
    MUST(lstat("hard-soft", &one));
    MUST(lstat("hard-file", &two));
    printf("symlink %d regular %d\n", S_ISLNK(one.st_mode), S_ISREG(two.st_mode));
    SHOW(unlink("b"));
    SHOW(unlink("b"));
    SHOW(unlink(""));
    SHOW(unlink("a/"));
    int fd = MUST(open("a", O_RDONLY));
    MUST(unlink("a"));
    MUST(unlink("hard-file"));
    MUST(fstat(fd, &one));
    printf("links after unlink %lu\n", (unsigned long)one.st_nlink);
    char text[4] = {0};
    SHOW(read(fd, text, 3));
}

static void soft(void) {
    title("symlink");
    char text[64];
    SHOW(symlink("target/of/link", "s"));
    SHOW(symlink("x", "s"));
    SHOW(symlink("", "t"));
    memset(text, '#', sizeof text);
    SHOW(readlink("s", text, sizeof text));
    printf("%.16s\n", text);
    memset(text, '#', sizeof text);
    SHOW(readlink("s", text, 6));
    printf("%.8s\n", text);
    SHOW(syscall(SYS_readlink, "s", text, 0));
    SHOW(syscall(SYS_readlink, "s", text, -1));
    SHOW(readlink("missing", text, sizeof text));
    write_file("file", "");
    SHOW(readlink("file", text, sizeof text));
    int fd = MUST(open("s", O_PATH | O_NOFOLLOW));
    SHOW(readlinkat(fd, "", text, sizeof text));
    struct stat info;
    SHOW(lstat("s", &info));
    printf("size %ld\n", (long)info.st_size);
    SHOW(stat("s", &info));
    SHOW(lchown("s", 5, 6));
    SHOW(lstat("s", &info));
    printf("owner %u %u\n", info.st_uid, info.st_gid);
}

static void renaming(void) {
    title("rename");
    write_file("from", "F");
    write_file("to", "T");
    MUST(mkdir("dir", 0755));
    MUST(mkdir("dir/sub", 0755));
    MUST(mkdir("empty", 0755));
    SHOW(rename("from", "to"));
    SHOW(access("from", F_OK));
    SHOW(rename("missing", "to"));
    SHOW(rename("to", "dir"));
    SHOW(rename("dir", "to"));
    SHOW(rename("dir", "dir/sub/x"));
    SHOW(rename("empty", "dir"));
    SHOW(rename("dir", "empty"));
    SHOW(rename("empty/.", "x"));
    SHOW(rename("to", "to/"));
    SHOW(rename("to", "/dev/null/x"));
    SHOW(rename("to", "/dev/shm/elsewhere"));
    write_file("left", "L");
    write_file("right", "R");
    SHOW(renameat2(AT_FDCWD, "left", AT_FDCWD, "right", RENAME_NOREPLACE));
    SHOW(renameat2(AT_FDCWD, "left", AT_FDCWD, "fresh", RENAME_NOREPLACE));
    SHOW(renameat2(AT_FDCWD, "fresh", AT_FDCWD, "right", RENAME_EXCHANGE));
    char text[2] = {0};
    int fd = MUST(open("right", O_RDONLY));
    MUST(read(fd, text, 1));
    printf("right now holds %s\n", text);
    SHOW(renameat2(AT_FDCWD, "fresh", AT_FDCWD, "missing", RENAME_EXCHANGE));
    SHOW(renameat2(AT_FDCWD, "fresh", AT_FDCWD, "right", RENAME_EXCHANGE | RENAME_NOREPLACE));
    SHOW(renameat2(AT_FDCWD, "fresh", AT_FDCWD, "right", 1 << 10));
    SHOW(renameat2(300, "fresh", AT_FDCWD, "right", 0));
}

int main(void) {
    enter_directory();
    hard();
    soft();
    renaming();
    check_leave();
    return 0;
}
