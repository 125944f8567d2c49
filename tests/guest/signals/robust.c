/* Robust mutexes of a process that is killed pass on, however the kill is sent; and a full signal
 * queue changes nothing for anybody. */
#include "../check.h"
#include <pthread.h>
#include <sys/resource.h>

static pthread_mutex_t *mutex;

static void hold_and_wait(int ready) {
    if (pthread_mutex_lock(mutex) != 0)
        _exit(9);
    MUST(write(ready, "x", 1));
    for (;;)
        pause();
}

static void *holder(void *argument) {
    hold_and_wait((int)(long)argument);
    return NULL;
}

static void end(pid_t child, int how) {
    siginfo_t info = {.si_signo = SIGKILL, .si_code = SI_QUEUE};
    int fd;
    switch (how) {
    case 0:
        MUST(kill(child, SIGKILL));
        break;
    case 1:
        MUST((int)syscall(SYS_tgkill, child, child, SIGKILL));
        break;
    case 2:
        MUST((int)syscall(SYS_tkill, child, SIGKILL));
        break;
    case 3:
        MUST((int)syscall(SYS_rt_sigqueueinfo, child, SIGKILL, &info));
        break;
    case 4:
        fd = MUST((int)syscall(SYS_pidfd_open, child, 0));
        MUST((int)syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0));
        close(fd);
        break;
    case 5:
        MUST(kill(child, SIGTERM));
        break;
    default:
        MUST(kill(child, SIGSEGV));
    }
}

static void passes_on(void) {
    title("robust mutexes");
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    mutex = MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    for (int how = 0; how < 7; how++)
        for (int threaded = 0; threaded < 2; threaded++) {
            pthread_mutex_init(mutex, &attributes);
            int ready[2];
            char byte;
            MUST(pipe(ready));
            pid_t child = fork_flushed();
            if (!child) {
                struct rlimit none = {0, 0};
                setrlimit(RLIMIT_CORE, &none);
                pthread_t thread;
                if (!threaded)
                    hold_and_wait(ready[1]);
                pthread_create(&thread, NULL, holder, (void *)(long)ready[1]);
                for (;;)
                    pause();
            }
            MUST(read(ready[0], &byte, 1));
            end(child, how);
            int result = pthread_mutex_lock(mutex);
            printf("way %d threaded %d: %s\n", how, threaded, result ? error_name(result) : "ok");
            pthread_mutex_consistent(mutex);
            pthread_mutex_unlock(mutex);
            reap("child", child);
            close(ready[0]);
            close(ready[1]);
        }
}

static void *nothing(void *argument) {
    return argument;
}
static volatile int stop;
static void *busy(void *argument) {
    while (!stop)
        ;
    return argument;
}

static void full_queue(void) {
    title("full queue");
    struct rlimit few = {4, 4};
    MUST(setrlimit(RLIMIT_SIGPENDING, &few));
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &one, NULL);
    int sent = 0;
    while (sent < 1000 && sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = sent}) == 0)
        sent++;
    printf("full %d %s\n", sent < 1000, error_name(errno));
    pthread_t spinning, thread;
    pthread_create(&spinning, NULL, busy, NULL);
    int wrong = 0;
    for (int i = 0; i < 20; i++) {
        pid_t child = MUST(fork());
        if (!child)
            _exit(5);
        int status;
        MUST(waitpid(child, &status, 0));
        wrong += WEXITSTATUS(status) != 5;
        wrong +=
            pthread_create(&thread, NULL, nothing, NULL) != 0 || pthread_join(thread, NULL) != 0;
    }
    stop = 1;
    pthread_join(spinning, NULL);
    printf("wrong %d\n", wrong);
    pid_t child = fork_flushed();
    if (!child)
        for (;;)
            pause();
    kill(child, SIGKILL);
    reap("killed", child);
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    passes_on();
    full_queue();
    return 0;
}
