#include "jail/executable.h"

#include "base/text.h"
#include "jail/kernel.h"

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static long copy_all(int to, int from) {
    for (;;) {
        long result = host(__NR_sendfile, to, from, 0, 1l << 30);
        if (result <= 0)
            return result;
    }
}

int executable_copy(struct failure *failure) {
    u32 flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    long copy = host(__NR_memfd_create, "kwhost-monitor", flags | MFD_EXEC);
    if (copy == -EINVAL) /* before Linux 6.3 every memfd is executable */
        copy = host(__NR_memfd_create, "kwhost-monitor", flags);
    if (copy == -EACCES) {
        fail(failure, STATUS_OWN, 0,
             "this host allows no executable memory files: "
             "set the sysctl vm.memfd_noexec below 2");
        return -1;
    }
    long own = host(__NR_openat, AT_FDCWD, "/proc/self/exe", O_RDONLY | O_CLOEXEC, 0);
    long result = copy < 0 ? copy : own;
    if (result >= 0)
        result = copy_all((int)copy, (int)own);
    if (result >= 0)
        result = host(__NR_fchmod, copy, 0111);
    if (result >= 0)
        result = host(__NR_fcntl, copy, F_ADD_SEALS, SEALS);
    if (own >= 0)
        host(__NR_close, own);
    if (result >= 0)
        return (int)copy;
    fail(failure, STATUS_OWN, result, "copying kwhost's own executable");
    return -1;
}

bool executable_run_copy(int record_fd, struct failure *failure) {
    char numbers[2][16];
    int copy = executable_copy(failure);
    if (copy < 0)
        return false;
    host(__NR_fcntl, copy, F_SETFD, 0);
    format(numbers[0], sizeof numbers[0], "%d", record_fd);
    format(numbers[1], sizeof numbers[1], "%d", copy);
    char *argv[] = {"kwhost-monitor", "supervise", numbers[0], numbers[1], NULL};
    char *environment[] = {NULL};
    long result = host(__NR_execveat, copy, "", argv, environment, AT_EMPTY_PATH);
    return fail(failure, STATUS_OWN, result, "executing the copy of kwhost's own executable");
}
