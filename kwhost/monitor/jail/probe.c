#include "jail/probe.h"

#include <asm/signal.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>

#include "base/text.h"
#include "jail/chroot.h"
#include "jail/errors.h"
#include "jail/filesystem.h"
#include "jail/kernel.h"
#include "jail/landlock.h"

#define NEW_NAMESPACES                                                                             \
    (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP |  \
     CLONE_NEWNET)

static void tell(const char *name, const char *pattern, ...) PRINTF(2, 3);
static void tell(const char *name, const char *pattern, ...) {
    char value[KW_ERROR_MAX], line[KW_ERROR_MAX + 32];
    va_list args;
    va_start(args, pattern);
    format_list(value, sizeof value, pattern, args);
    va_end(args);
    make_printable(value, sizeof value);
    host(__NR_write, 1, line, format(line, sizeof line, "%s %s\n", name, value));
}

/* Why there is no jail; whether it is for good is for the reader to judge by the number. */
static void tell_no_jail(long error, const char *what, const char *log) {
    tell("jail", "%s: %s%s", what, error_text(error), log);
    tell("error", "%ld", -error);
}

static long clone_into_namespaces(void) {
    struct clone_args args = {.flags = NEW_NAMESPACES, .exit_signal = SIGCHLD};
    return host(__NR_clone3, &args, sizeof args);
}

/* In the namespaces: the mounts that no root can do without. */
static _Noreturn void try_mounts(void) {
    static const char *const types[][2] = {{"proc", "mounting a proc"},
                                           {"tmpfs", "mounting a tmpfs"}};
    struct mount_attr private = {.propagation = MS_PRIVATE};
    char log[FILESYSTEM_LOG];
    long result = host(__NR_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &private, sizeof private);
    if (result < 0)
        tell_no_jail(result, "making the mounts private", "");
    for (u32 i = 0; result >= 0 && i < array_size(types); i++) {
        result = filesystem_new(types[i][0], NULL, FILESYSTEM_SAFE | MOUNT_ATTR_NOEXEC, log);
        if (result < 0)
            tell_no_jail(result, types[i][1], log);
    }
    if (result >= 0)
        tell("jail", "ok");
    for (;;)
        host(__NR_exit_group, 0);
}

static void try_jail(void) {
    long pid = clone_into_namespaces();
    if (pid == -EPERM && host(__NR_geteuid) == 0 && chroot_leave())
        pid = clone_into_namespaces();
    if (pid == 0)
        try_mounts();
    if (pid < 0)
        tell_no_jail(pid, "making namespaces", "");
    while (pid > 0 && host(__NR_wait4, pid, 0, 0, 0) == -EINTR)
        ;
}

static void try_landlock(void) {
    long version = landlock_version();
    tell("landlock", "%ld", version < 0 ? 0 : version);
}

/* Last of all, since the filter stays: it lets everything pass. */
static void try_notify(void) {
    struct sock_filter allow = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
    struct sock_fprog program = {.len = 1, .filter = &allow};
    long result = host(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (result >= 0)
        result =
            host(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    tell("notify", "%s", result < 0 ? error_text(result) : "ok");
}

static void try_children(void) {
    long list = host(__NR_openat, AT_FDCWD, "/proc/thread-self/children", O_RDONLY | O_CLOEXEC, 0);
    tell("children", "%s", list < 0 ? error_text(list) : "ok");
}

static void tell_capabilities(void) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{.effective = 0}};
    host(__NR_capget, &header, data);
    tell("capabilities", "%lx", (unsigned long)data[1].effective << 32 | data[0].effective);
}

_Noreturn void probe_main(void) {
    try_jail();
    try_landlock();
    try_children();
    tell_capabilities();
    try_notify();
    for (;;)
        host(__NR_exit_group, 0);
}
