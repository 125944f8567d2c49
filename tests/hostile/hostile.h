/* Shared by programs that attack the monitor. Each must end by itself with status 0 and "survived"
 * as its last line, whatever happened to it in between, or be killed by its own doing where it says
 * so. */
#ifndef HOSTILE_H
#define HOSTILE_H

#include "../guest/check.h"
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/socket.h>

/* Runs `body` in a child process that may do anything to itself, for at most some seconds. */
static inline void in_child(const char *name, void (*body)(void), int seconds) {
    pid_t child = fork_flushed();
    if (!child) {
        setpgid(0, 0);
        alarm((unsigned)seconds);
        body();
        _exit(0);
    }
    setpgid(child, child);
    int status = 0;
    int64_t end = now_ms() + (seconds + 60) * 1000;
    while (waitpid(child, &status, WNOHANG) == 0) {
        if (now_ms() > end) {
            printf("%s: DOES NOT END\n", name);
            kill(-child, SIGKILL);
            waitpid(child, &status, 0);
            return;
        }
        pause_ms(10);
    }
    kill(-child, SIGKILL); /* whatever it left behind */
    printf("%s: over\n", name);
}

/* The whole must still work: memory, files, processes, threads. */
static inline void *hostile_echo(void *value) {
    return value;
}
static inline void survived(void) {
    pthread_t thread;
    void *result = NULL;
    int fds[2];
    char byte = 0;
    pid_t child = fork_flushed();
    if (!child)
        _exit(7);
    int status = 0;
    while (waitpid(child, &status, 0) == -1 && errno == EINTR)
        ;
    bool good = WIFEXITED(status) && WEXITSTATUS(status) == 7;
    good &= pthread_create(&thread, NULL, hostile_echo, (void *)5l) == 0 &&
            pthread_join(thread, &result) == 0;
    good &= result == (void *)5l && pipe(fds) == 0 && write(fds[1], "x", 1) == 1 &&
            read(fds[0], &byte, 1) == 1;
    printf(good ? "survived\n" : "DAMAGED\n");
}

static inline bool is_listed(long number, const long *list, size_t size) {
    for (size_t i = 0; i < size / sizeof *list; i++)
        if (list[i] == number)
            return true;
    return false;
}

/* Sends a descriptor by a socket; negative where it cannot be. */
static inline long pass(int to, int fd) {
    char control[CMSG_SPACE(sizeof fd)] = {0};
    struct iovec part = {"x", 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    *CMSG_FIRSTHDR(&message) = (struct cmsghdr){CMSG_LEN(sizeof fd), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), &fd, sizeof fd);
    return sendmsg(to, &message, MSG_DONTWAIT);
}

/* Calls that at random end or stop the caller by design, or take its memory away (memory.c does
 * that). */
static inline bool proves_nothing(long number) {
    const long list[] = {SYS_exit,
                         SYS_exit_group,
                         SYS_fork,
                         SYS_vfork,
                         SYS_clone,
                         SYS_clone3,
                         SYS_kill,
                         SYS_tkill,
                         SYS_tgkill,
                         SYS_rt_sigreturn,
                         SYS_rt_sigqueueinfo,
                         SYS_rt_tgsigqueueinfo,
                         SYS_pidfd_send_signal,
                         SYS_alarm,
                         SYS_setitimer,
                         SYS_setrlimit,
                         SYS_prlimit64,
                         SYS_mmap,
                         SYS_munmap,
                         SYS_mremap,
                         SYS_mprotect,
                         SYS_madvise,
                         SYS_brk,
                         SYS_shmat,
                         SYS_arch_prctl};
    return is_listed(number, list, sizeof list);
}

static inline unsigned long dice(unsigned long *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

#endif
