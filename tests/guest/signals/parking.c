/* Threads that wait in every way while the process forks and makes threads all the time: a monitor
 * has to stop them for that, and they must not notice. */
#include "../check.h"
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/select.h>

static volatile int stop, wrong[16], rounds[16];
static int quiet[2];

static void judge(int index, long result, int64_t began, long expected, int expected_error) {
    int error = errno;
    int64_t took = now_ms() - began;
    if (result != expected || (result == -1 && error != expected_error) || took < 9 ||
        took > 3000) {
        if (!wrong[index]++)
            printf("waiter %d: result %ld %s after %s\n", index, result, error_name(error),
                   took < 9      ? "too little"
                   : took > 3000 ? "too long"
                                 : "the right time");
    }
    rounds[index]++;
}

static void *waiter(void *argument) {
    int index = (int)(long)argument;
    uint32_t word = 0;
    int epoll = epoll_create1(0);
    sigset_t set, none;
    sigemptyset(&set);
    sigemptyset(&none);
    sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    while (!stop) {
        struct timespec time = {0, 10000000};
        struct timeval small = {0, 10000};
        struct epoll_event event;
        struct pollfd one = {quiet[0], POLLIN, 0};
        int64_t began = now_ms();
        errno = 0;
        switch (index) {
        case 0:
            judge(0, nanosleep(&time, NULL), began, 0, 0);
            break;
        case 1:
            judge(1, poll(&one, 1, 10), began, 0, 0);
            break;
        case 2:
            judge(2, ppoll(&one, 1, &time, &none), began, 0, 0);
            break;
        case 3:
            judge(3, select(0, NULL, NULL, NULL, &small), began, 0, 0);
            break;
        case 4:
            judge(4, epoll_wait(epoll, &event, 1, 10), began, 0, 0);
            break;
        case 5:
            judge(5, epoll_pwait(epoll, &event, 1, 10, &none), began, 0, 0);
            break;
        case 6:
            judge(6, syscall(SYS_futex, &word, FUTEX_WAIT, 0, &time, NULL, 0), began, -1,
                  ETIMEDOUT);
            break;
        case 7:
            judge(7, sigtimedwait(&set, NULL, &time), began, -1, EAGAIN);
            break;
        case 8:
            judge(8, clock_nanosleep(CLOCK_REALTIME, 0, &time, NULL), began, 0, 0);
            break;
        default:
            for (volatile int i = 0; i < 100000; i++)
                ;
            rounds[index]++;
        }
    }
    close(epoll);
    return NULL;
}

static void *reader(void *argument) {
    int *fd = argument;
    long bytes = 0;
    char byte;
    while (read(fd[0], &byte, 1) == 1)
        bytes++;
    return (void *)bytes;
}

static void *brief(void *argument) {
    return argument;
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    MUST(pipe(quiet));
    int data[2];
    MUST(pipe(data));
    pthread_t thread[10], read_thread;
    for (long i = 0; i < 10; i++)
        if (pthread_create(&thread[i], NULL, waiter, (void *)i) != 0)
            return 1;
    pthread_create(&read_thread, NULL, reader, data);
    int failed = 0;
    for (int i = 0; i < 60; i++) {
        pid_t child = fork();
        if (!child)
            _exit(i);
        int status = 0;
        if (waitpid(child, &status, 0) != child || WEXITSTATUS(status) != i)
            failed++;
        pthread_t more;
        void *result;
        if (pthread_create(&more, NULL, brief, &failed) != 0 || pthread_join(more, &result) != 0 ||
            result != &failed)
            failed++;
        MUST(write(data[1], "x", 1));
    }
    stop = 1;
    for (int i = 0; i < 10; i++)
        pthread_join(thread[i], NULL);
    close(data[1]);
    void *bytes;
    pthread_join(read_thread, &bytes);
    printf("failed %d bytes %ld\n", failed, (long)bytes);
    for (int i = 0; i < 10; i++)
        printf("waiter %d wrong %d ran %d\n", i, wrong[i], rounds[i] > 0);
    return 0;
}
