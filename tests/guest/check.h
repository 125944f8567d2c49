/* Shared by the differential programs. Each prints lines that are the same on every run (no process
 * ids, addresses or times), works in a private directory of its own, and never depends on who runs
 * it: natively or in a virtual machine, as pid 1 or not. */
#ifndef CHECK_H
#define CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A program that dies or hangs has shown all that it did before. */
__attribute__((constructor)) static inline void by_lines(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
}

/* Linux's own numbers: errno values are named, so that a difference reads as a sentence. */
static inline const char *error_name(int number) {
    const char *name = strerrorname_np(number);
    return name ? name : "?";
}

static inline void show_result(const char *what, long result, int error, bool value) {
    if (result == -1)
        printf("%s: %s\n", what, error_name(error));
    else if (value)
        printf("%s: %ld\n", what, result);
    else
        printf("%s: ok\n", what);
}

/* Value or errno of a call; what the call is printed as is its source text. */
#define SHOW(call)                                                                                 \
    do {                                                                                           \
        errno = 0;                                                                                 \
        long show_value = (long)(call);                                                            \
        show_result(#call, show_value, errno, true);                                               \
    } while (0)
/* Only success or errno, where the value may differ from run to run. */
#define OK(call)                                                                                   \
    do {                                                                                           \
        errno = 0;                                                                                 \
        long show_value = (long)(call);                                                            \
        show_result(#call, show_value, errno, false);                                              \
    } while (0)
/* A property that must hold. */
#define IS(condition) printf("%s: %s\n", #condition, (condition) ? "yes" : "NO")

/* For set-up that cannot fail unless the world is broken. */
#define MUST(call)                                                                                 \
    __extension__({                                                                                \
        errno = 0;                                                                                 \
        __auto_type must_value = (call);                                                           \
        if ((long)must_value == -1) {                                                              \
            printf("%s:%d: %s failed: %s\n", __FILE_NAME__, __LINE__, #call, error_name(errno));   \
            fflush(stdout);                                                                        \
            _exit(99);                                                                             \
        }                                                                                          \
        must_value;                                                                                \
    })

static inline void title(const char *text) {
    printf("== %s\n", text);
}

static char check_directory[128];
/* Makes a private directory and works there. */
static inline void enter_directory(void) {
    const char *within = getenv("TMPDIR");
    snprintf(check_directory, sizeof check_directory, "%s/check.XXXXXX", within ? within : "/tmp");
    if (!mkdtemp(check_directory) || chdir(check_directory) != 0) {
        printf("no private directory: %s\n", error_name(errno));
        exit(99);
    }
    umask(022);
}
static inline int check_remove(const char *path, const struct stat *info, int kind,
                               struct FTW *at) {
    (void)info, (void)kind, (void)at;
    return remove(path);
}
/* Removes the private directory and all that is in it. */
static inline void check_leave(void) {
    MUST(chdir("/"));
    MUST(nftw(check_directory, check_remove, 16, FTW_DEPTH | FTW_PHYS));
}

/* How a child ended, in words. */
static inline void show_status(const char *who, int status) {
    if (WIFEXITED(status))
        printf("%s: exit %d\n", who, WEXITSTATUS(status));
    else if (WIFSIGNALED(status))
        printf("%s: signal %s\n", who, sigabbrev_np(WTERMSIG(status)));
    else if (WIFSTOPPED(status))
        printf("%s: stopped by %s\n", who, sigabbrev_np(WSTOPSIG(status)));
    else if (WIFCONTINUED(status))
        printf("%s: continued\n", who);
    else
        printf("%s: status %x\n", who, status);
}

static inline pid_t fork_flushed(void) {
    fflush(stdout);
    return MUST(fork());
}
static inline void leave_child(int code) {
    fflush(stdout);
    _exit(code);
}
static inline void reap(const char *who, pid_t child) {
    int status = 0;
    pid_t got;
    while ((got = waitpid(child, &status, 0)) == -1 && errno == EINTR)
        ;
    if (got != child)
        printf("%s: not waited for: %s\n", who, error_name(errno));
    else
        show_status(who, status);
}

static inline void pause_ms(long ms) {
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&time, &time) == -1 && errno == EINTR)
        ;
}
static inline int64_t now_ms(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static inline void write_file(const char *path, const char *text) {
    int fd = MUST(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644));
    MUST(write(fd, text, strlen(text)));
    close(fd);
}

#endif
