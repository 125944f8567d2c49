#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "control.h"
#include "events.h"
#include "files.h"
#include "filter.h"
#include "ports.h"
#include "targets.h"

#define SOCKET_NAME "forward.sock"
#define LOCK_NAME "forward.lock"

static struct watch changes; /* of the directory */
static struct watch signals;
static struct stat own_socket;
static int run_directory;
static bool stopped;

static bool socket_is_ours(void) {
    struct stat stat;
    return fstatat(run_directory, SOCKET_NAME, &stat, AT_SYMLINK_NOFOLLOW) == 0 &&
           stat.st_ino == own_socket.st_ino && stat.st_dev == own_socket.st_dev;
}

/* End everything that somebody could notice. The lock's file goes last: whoever finds none may
 * start. */
static void stop(void) {
    ports_remove_all();
    targets_remove_all();
    if (!stopped && socket_is_ours()) {
        unlinkat(run_directory, SOCKET_NAME, 0);
        unlinkat(run_directory, LOCK_NAME, 0);
    }
    stopped = true;
}

static void directory_changed(struct watch *watch, uint32_t events) {
    char buffer[4096];
    (void)events;
    while (read(watch->fd, buffer, sizeof(buffer)) > 0)
        ;
    if (!socket_is_ours())
        stop();
}

static void signal_arrived(struct watch *watch, uint32_t events) {
    (void)watch;
    (void)events;
    stop();
}

static int watch_directory(void) {
    char path[32];
    if (fstatat(run_directory, SOCKET_NAME, &own_socket, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd < 0)
        return -errno;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", run_directory);
    changes.ready = directory_changed;
    int error = watch_begin(&changes, fd, EPOLLIN);
    if (!error && inotify_add_watch(fd, path, IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF) < 0)
        error = -errno;
    return error;
}

/* Root keeps what a relay needs to enter a namespace and to become somebody else, and what ends it.
 * The bounding set is the relays' too, until they give up all. */
static int drop_capabilities(void) {
    static const unsigned kept[] = {CAP_SYS_ADMIN, CAP_SETUID, CAP_SETGID, CAP_SETPCAP, CAP_KILL};
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}};
    uint32_t keep = 0;
    if (geteuid() != 0)
        return 0;
    for (unsigned i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        keep |= 1u << kept[i];
    for (unsigned i = 0; prctl(PR_CAPBSET_READ, i) >= 0; i++)
        if ((i >= 32 || !(keep >> i & 1)) && prctl(PR_CAPBSET_DROP, i) < 0)
            return -errno;
    data[0].permitted = data[0].effective = keep;
    if (syscall(SYS_capset, &header, data) < 0)
        return -errno;
    return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ? -errno : 0;
}

static int raise_limits(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return -errno;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}

static int watch_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_IGN); /* relays leave no zombies; how they end is no matter */
    if (sigprocmask(SIG_SETMASK, &set, NULL) < 0)
        return -errno;
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    signals.ready = signal_arrived;
    return fd < 0 ? -errno : watch_begin(&signals, fd, EPOLLIN);
}

/* What this executes gets no more than it has, files are out of reach, and so are most calls. */
static int confine(void) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    int error = files_restrict(run_directory);
    return error ? error : filter_set(FILTER_SERVER);
}

static int prepare(int listener) {
    int error = events_open();
    if (!error)
        error = datagrams_open();
    if (!error)
        error = raise_limits();
    if (!error)
        error = drop_capabilities();
    if (!error)
        error = watch_directory();
    if (!error)
        error = watch_signals();
    if (!error)
        error = control_open(listener, stop);
    return error ? error : confine();
}

/* In the new process; `caller` waits for a word, and who started it for the end of what it has for
 * standard output and error. Standard input is /dev/null. */
static void run(int listener, int caller) {
    int error = prepare(listener);
    if (!error && (dup2(0, 1) < 0 || dup2(0, 2) < 0))
        error = -errno;
    if (write(caller, &error, sizeof(error)) < 0)
        error = -errno;
    close(caller);
    while (!error && !stopped)
        error = events_wait(-1);
    stop();
}

int serve(int listener, int lock, int directory) {
    int word[2], error;
    run_directory = directory;
    if (fcntl(listener, F_SETFD, FD_CLOEXEC) < 0 || fcntl(lock, F_SETFD, FD_CLOEXEC) < 0 ||
        fcntl(directory, F_SETFD, FD_CLOEXEC) < 0 || fcntl(listener, F_SETFL, O_NONBLOCK) < 0 ||
        pipe2(word, O_CLOEXEC) < 0)
        return -errno;
    pid_t child = fork();
    if (child < 0)
        return -errno;
    if (child == 0) {
        run(listener, word[1]);
        return 0;
    }
    close(word[1]);
    return read(word[0], &error, sizeof(error)) == sizeof(error) ? error : -ECHILD;
}
