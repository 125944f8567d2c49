/* open, read, write, lseek, truncate, fallocate, stat, access and their errors. */
#include "check.h"
#include <sys/file.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

static void opening(void) {
    title("opening");
    SHOW(open("a", O_RDONLY));
    int fd = MUST(open("a", O_RDWR | O_CREAT | O_EXCL, 0640));
    SHOW(open("a", O_RDWR | O_CREAT | O_EXCL, 0640));
    SHOW(write(fd, "hello world", 11));
    SHOW(lseek(fd, 0, SEEK_CUR));
    SHOW(lseek(fd, -1, SEEK_SET));
    SHOW(lseek(fd, 0, 77));
    SHOW(lseek(fd, 6, SEEK_SET));
    char text[32] = {0};
    SHOW(read(fd, text, sizeof text));
    printf("text: %s\n", text);
    SHOW(read(fd, text, sizeof text));
    SHOW(pread(fd, text, 5, 0));
    SHOW(pwrite(fd, "HELLO", 5, 0));
    SHOW(pread(fd, text, 5, -1));
    SHOW(read(fd, text, 0));
    int append = MUST(open("a", O_WRONLY | O_APPEND));
    SHOW(write(append, "!", 1));
    SHOW(read(append, text, 1));
    SHOW(lseek(fd, 0, SEEK_END));
    int reader = MUST(open("a", O_RDONLY));
    SHOW(write(reader, "x", 1));
    SHOW(ftruncate(reader, 0));
    SHOW(open("a", O_RDONLY | O_DIRECTORY));
    SHOW(open(".", O_WRONLY));
    SHOW(open("a/b", O_RDONLY));
    SHOW(open("a", O_RDONLY | O_NOFOLLOW | O_CLOEXEC) >= 0);
    int path = MUST(open("a", O_PATH));
    SHOW(read(path, text, 1));
    SHOW(fchmod(path, 0600));
    SHOW(close(path));
    SHOW(close(path));
    SHOW(read(12345, text, 1));
    SHOW(write(-1, text, 1));
    SHOW(open("new", O_RDONLY | O_TRUNC | O_CREAT, 0) >= 0);
    SHOW(open("a", O_ACCMODE) >= 0);
    int temporary = MUST(open(".", O_TMPFILE | O_RDWR, 0600));
    SHOW(write(temporary, "abc", 3));
    SHOW(linkat(temporary, "", AT_FDCWD, "linked", AT_EMPTY_PATH) == 0 || errno == ENOENT);
    SHOW(syscall(SYS_open, "a", O_TMPFILE | O_RDONLY, 0600));
    SHOW(syscall(SYS_creat, "created", 0604) >= 0);
}

static void stating(void) {
    title("stat");
    struct stat info;
    SHOW(stat("a", &info));
    printf("mode %o size %ld links %lu uid %u gid %u blocks>0 %d\n", info.st_mode,
           (long)info.st_size, (unsigned long)info.st_nlink, info.st_uid, info.st_gid,
           info.st_blocks > 0);
    SHOW(stat("missing", &info));
    SHOW(lstat("", &info));
    SHOW(fstat(999, &info));
    SHOW(fstatat(AT_FDCWD, "", &info, AT_EMPTY_PATH));
    printf("directory %d\n", S_ISDIR(info.st_mode));
    SHOW(fstatat(0, "", &info, 0));
    SHOW(fstatat(AT_FDCWD, "a", &info, 0x8000000));
    struct statx extended;
    SHOW(statx(AT_FDCWD, "a", 0, STATX_BASIC_STATS, &extended));
    printf("statx mode %o size %llu\n", extended.stx_mode, (unsigned long long)extended.stx_size);
    SHOW(statx(AT_FDCWD, "a", 0, 0x80000000, &extended));
    SHOW(statx(AT_FDCWD, "a", 0x4000000, STATX_SIZE, &extended));
    SHOW(stat("/dev/null", &info));
    printf("null %o %u:%u\n", info.st_mode & S_IFMT, major(info.st_rdev), minor(info.st_rdev));
    struct statfs fs;
    SHOW(statfs(".", &fs));
    printf("tmpfs %d\n", fs.f_type == 0x01021994);
    SHOW(statfs("missing", &fs));
    SHOW(fstatfs(0, &fs));
    SHOW(access("a", R_OK | W_OK));
    SHOW(access("a", X_OK));
    SHOW(access("a", 99));
    SHOW(faccessat(AT_FDCWD, "a", R_OK, AT_EACCESS));
    SHOW(faccessat(AT_FDCWD, "missing", F_OK, 0));
    SHOW(syscall(SYS_faccessat2, AT_FDCWD, "a", R_OK, 0x4000000));
}

static void changing(void) {
    title("changing");
    struct stat info;
    SHOW(chmod("a", 04755));
    SHOW(stat("a", &info));
    printf("mode %o\n", info.st_mode);
    SHOW(chmod("missing", 0));
    SHOW(truncate("a", 4));
    SHOW(truncate("a", -1));
    SHOW(truncate(".", 0));
    SHOW(truncate("missing", 0));
    SHOW(stat("a", &info));
    printf("size %ld\n", (long)info.st_size);
    struct timespec times[2] = {{1000000000, 5}, {1100000000, 7}};
    SHOW(utimensat(AT_FDCWD, "a", times, 0));
    SHOW(stat("a", &info));
    printf("times %ld.%09ld %ld.%09ld\n", info.st_atim.tv_sec, info.st_atim.tv_nsec,
           info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
    times[0].tv_nsec = UTIME_OMIT;
    times[1].tv_nsec = 2000000000;
    SHOW(utimensat(AT_FDCWD, "a", times, 0));
    times[1].tv_nsec = UTIME_NOW;
    SHOW(utimensat(AT_FDCWD, "a", times, 0));
    SHOW(utimensat(AT_FDCWD, "a", NULL, 0));
    SHOW(stat("a", &info));
    printf("changed %d\n", info.st_mtim.tv_sec > 1700000000);
    SHOW(chmod("a", 0));
    int fd = open("a", O_RDWR);
    printf("root opens mode 0: %s\n", fd >= 0 ? "yes" : error_name(errno));
    SHOW(fchmod(fd, 0644));
    SHOW(fchmodat(AT_FDCWD, "a", 0600, AT_SYMLINK_NOFOLLOW) == 0 || errno == EOPNOTSUPP);
    SHOW(fsync(fd));
    SHOW(fdatasync(fd));
    SHOW(fsync(-1));
    SHOW(syncfs(fd));
    SHOW(umask(077));
    SHOW(umask(022));
}

static void sparse(void) {
    title("sparse files");
    int fd = MUST(open("sparse", O_RDWR | O_CREAT, 0600));
    SHOW(pwrite(fd, "x", 1, 1 << 20));
    SHOW(lseek(fd, 0, SEEK_DATA));
    SHOW(lseek(fd, 0, SEEK_HOLE));
    SHOW(lseek(fd, (1 << 20) + 5, SEEK_DATA));
    SHOW(fallocate(fd, 0, 0, 8192));
    SHOW(fallocate(fd, FALLOC_FL_KEEP_SIZE, 2 << 20, 4096));
    SHOW(lseek(fd, 0, SEEK_END));
    SHOW(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 4096));
    SHOW(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
    SHOW(fallocate(fd, 0, 0, 0));
    SHOW(fallocate(fd, 0, -1, 10));
    SHOW(fallocate(0, 0, 0, 10) == -1);
    SHOW(posix_fallocate(fd, 0, 100));
    SHOW(posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM));
    SHOW(posix_fadvise(fd, 0, 0, 99));
    SHOW(readahead(fd, 0, 4096) == 0 || errno == EINVAL);
    SHOW(ftruncate(fd, 1l << 40));
    SHOW(lseek(fd, 0, SEEK_END));
    SHOW(flock(fd, LOCK_EX));
    SHOW(flock(fd, LOCK_SH | LOCK_NB));
    SHOW(flock(fd, LOCK_UN));
    SHOW(flock(fd, 99));
}

int main(void) {
    enter_directory();
    opening();
    stating();
    changing();
    sparse();
    check_leave();
    return 0;
}
