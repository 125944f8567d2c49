/* What a relay gives up. Each step is safe: it only takes away from this process. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "relay.h"
#include "spawn.h"

/* In a user namespace of the caller's the bounding set may be empty of SETPCAP: then there is
 * nothing that no_new_privs does not keep away as well. */
static int drop_bounding_set(void) {
    for (unsigned i = 0; prctl(PR_CAPBSET_READ, i) >= 0; i++)
        if (prctl(PR_CAPBSET_DROP, i) < 0)
            return -errno;
    return 0;
}

static int become_nobody(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};
    uid_t uid = relay_target.uid;
    gid_t gid = relay_target.gid;
    int error = drop_bounding_set();
    if (error)
        return error;
    if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0 ||
        syscall(SYS_capset, &header, none) < 0)
        return -errno;
    return 0;
}

/* It makes no process, leaves no core and ends with the server. */
static int limit_itself(void) {
    struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_NPROC, &none) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
        prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_NAME, "kwhost-relay") < 0)
        return -errno;
    return 0;
}

int relay_enter(void) {
    signal(SIGPIPE, SIG_IGN);
    for (int fd = RELAY_CALLS; fd <= RELAY_NAMESPACE; fd++)
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
            return -errno;
    if (setns(RELAY_NAMESPACE, CLONE_NEWNET) < 0 || close(RELAY_NAMESPACE) < 0)
        return -errno;
    int error = become_nobody();
    return error ? error : limit_itself();
}
