#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HIGHER_FD 16 /* above all that a relay has */

/* In the new process: nothing but its own descriptors, in their places, and a fresh program: no
 * other tenant's datagram is in its memory, and its addresses are its own. */
static _Noreturn void become_relay(const int fds[4]) {
    static char *const arguments[] = {"kwhost-forward", "relay", NULL};
    static char *const environment[] = {NULL};
    int moved[4];
    for (int i = 0; i < 4; i++)
        moved[i] = fcntl(fds[i], F_DUPFD, HIGHER_FD);
    for (int i = 0; i < 4; i++)
        if (moved[i] < 0 || dup2(moved[i], RELAY_CALLS + i) < 0)
            _exit(1);
    if (close_range(RELAY_NAMESPACE + 1, ~0u, 0) == 0)
        execve("/proc/self/exe", arguments, environment);
    _exit(1);
}

static int start(const int fds[4], int *process) {
    /* Not clone3, whose flags no filter sees. */
    long pid = syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, NULL, process, NULL, NULL);
    if (pid == 0)
        become_relay(fds);
    return pid < 0 ? -errno : 0;
}

/* Memory that the relay writes and the server reads; it cannot be taken away under the reader. */
static int make_counts(const struct kw_forward_counts **counts) {
    int fd = memfd_create("kwhost-forward-counts", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    if (ftruncate(fd, sizeof(**counts)) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0) {
        void *memory = mmap(NULL, sizeof(**counts), PROT_READ, MAP_SHARED, fd, 0);
        if (memory != MAP_FAILED) {
            *counts = memory;
            return fd;
        }
    }
    int error = errno;
    close(fd);
    return -error;
}

void unmap_counts(const struct kw_forward_counts *counts) {
    if (counts)
        munmap((void *)(uintptr_t)counts, sizeof(*counts));
}

static void close_all(const int *fds, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

int spawn_relay(const struct kw_forward_target *target, int namespace_fd, struct relay_ends *ends) {
    int calls[2] = {-1, -1}, datagrams[2] = {-1, -1};
    const struct kw_forward_counts *counts = NULL;
    int kind = SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK;
    int memory = make_counts(&counts);
    if (memory < 0)
        return memory;
    int error = 0;
    ends->process = -1;
    if (socketpair(AF_UNIX, kind, 0, calls) < 0 || socketpair(AF_UNIX, kind, 0, datagrams) < 0 ||
        send(calls[0], target, sizeof(*target), MSG_NOSIGNAL) < 0)
        error = -errno;
    if (!error)
        error = start((int[]){calls[1], datagrams[1], memory, namespace_fd}, &ends->process);
    close_all((int[]){calls[1], datagrams[1], memory}, 3);
    if (error) {
        close_all((int[]){calls[0], datagrams[0]}, 2);
        unmap_counts(counts);
        return error;
    }
    ends->calls = calls[0];
    ends->datagrams = datagrams[0];
    ends->counts = counts;
    return 0;
}
