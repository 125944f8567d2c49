/* Whether owners of files can be mapped; part of the cffi module, behind kw_mount_of and kw_end_with_parent. */

#include <stdio.h>
#include <sys/wait.h>

static int kw_write_map(int pid, const char *kind) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, kind);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int result = write(fd, "0 0 1", 5) < 0 ? -errno : 0;
    close(fd);
    return result;
}

static long kw_try_mapping(int directory, int pid) {
    char path[64];
    long result = kw_write_map(pid, "uid_map");
    if (!result)
        result = kw_write_map(pid, "gid_map");
    if (result)
        return result;
    snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
    int user_namespace = open(path, O_RDONLY | O_CLOEXEC);
    if (user_namespace < 0)
        return -errno;
    long tree = kw_mount_of(directory, user_namespace);
    close(user_namespace);
    if (tree >= 0)
        close((int)tree);
    return tree < 0 ? tree : 0;
}

/* The child, which is there for its user namespace. It has the parent's descriptors and with them its locks: it
 * must not outlive a parent that is killed. */
static void kw_wait_for_end(int parent) {
    kw_end_with_parent();
    while (getppid() == parent)
        pause();
    _exit(0);
}

/* 0: the file system of an opened directory can; a negative errno: why it cannot (EINVAL), or nobody can tell. */
static long kw_map_owners(int directory) {
    int self = getpid();
    long pid = syscall(__NR_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
    if (pid < 0)
        return -errno;
    if (!pid)
        kw_wait_for_end(self);
    long result = kw_try_mapping(directory, (int)pid);
    kill((int)pid, SIGKILL);
    while (waitpid((int)pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return result;
}
