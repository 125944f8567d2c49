/* Threads: pre-emption by tgkill, cancellation, who gets a process's signal, masks of their own. */
#include "../check.h"
#include <pthread.h>
#include <sys/time.h>

static volatile int stop, preempted[4];
static __thread volatile int own;

static void on_urgent(int number, siginfo_t *info, void *context) {
    (void)number;
    (void)context;
    if (info->si_code == SI_TKILL)
        own++;
}

static void *compute(void *argument) {
    long index = (long)argument;
    uint64_t sum = 0;
    while (!stop)
        for (int i = 0; i < 1000; i++)
            sum = sum * 31 + (uint64_t)i;
    preempted[index] = own;
    return (void *)(uintptr_t)(sum & 1 ? 2 : 2);
}

static void preemption(void) {
    title("pre-emption");
    char *stacks =
        MUST(mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    stack_t mine = {.ss_sp = stacks, .ss_size = 65536};
    MUST(sigaltstack(&mine, NULL));
    struct sigaction action = {.sa_sigaction = on_urgent,
                               .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};
    MUST(sigaction(SIGURG, &action, NULL));
    pthread_t thread[4];
    for (long i = 0; i < 4; i++)
        pthread_create(&thread[i], NULL, compute, (void *)i);
    for (int i = 0; i < 200; i++) {
        pthread_kill(thread[i % 4], SIGURG);
        if (i % 20 == 0)
            pause_ms(1);
    }
    pause_ms(20);
    stop = 1;
    for (int i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    printf("each was hit: %d %d %d %d\n", preempted[0] > 0, preempted[1] > 0, preempted[2] > 0,
           preempted[3] > 0);
    mine.ss_flags = SS_DISABLE;
    MUST(sigaltstack(&mine, NULL));
}

static volatile int cleaned, begun;
static void clean(void *argument) {
    cleaned += (int)(long)argument;
}
static void *sleeper(void *argument) {
    pthread_cleanup_push(clean, argument);
    begun = 1;
    if (argument == (void *)1)
        for (;;)
            sleep(100);
    else if (argument == (void *)2) {
        int fd[2];
        char byte;
        if (pipe(fd) == 0)
            (void)!read(fd[0], &byte, 1);
    } else {
        pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
        for (;;)
            ;
    }
    pthread_cleanup_pop(0);
    return NULL;
}

static void cancellation(void) {
    title("cancellation");
    for (long i = 1; i <= 3; i++) {
        pthread_t thread;
        void *result;
        begun = 0;
        pthread_create(&thread, NULL, sleeper, (void *)i);
        while (!begun)
            pause_ms(1);
        pause_ms(20); /* it probably sleeps by now */
        SHOW(pthread_cancel(thread));
        pthread_join(thread, &result);
        printf("cancelled %d cleaned %d\n", result == PTHREAD_CANCELED, cleaned);
    }
}

static volatile pid_t handled_by;
static volatile int handled_count;
static void on_usr1(int number) {
    (void)number;
    handled_by = (pid_t)syscall(SYS_gettid);
    __atomic_fetch_add(&handled_count, 1, __ATOMIC_RELAXED);
}

static volatile pid_t willing;
static volatile int leave;
static void *unblocked(void *argument) {
    (void)argument;
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, SIGUSR1);
    pthread_sigmask(SIG_UNBLOCK, &one, NULL);
    willing = (pid_t)syscall(SYS_gettid);
    while (!leave)
        pause_ms(1);
    return NULL;
}

static volatile int waited;
static void *waiter(void *argument) {
    sigset_t *set = argument;
    int number = 0, count = 0;
    while (sigwait(set, &number) == 0 && number != SIGTERM)
        waited = ++count;
    return (void *)(long)count;
}

static void directed(void) {
    title("whose signal it is");
    signal(SIGUSR1, on_usr1);
    sigset_t one, old;
    sigemptyset(&one);
    sigaddset(&one, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &one, &old);
    pthread_t thread;
    pthread_create(&thread, NULL, unblocked, NULL);
    while (!willing)
        pause_ms(1);
    for (int i = 1; i <= 20; i++) {
        kill(getpid(), SIGUSR1);
        while (handled_count < i)
            pause_ms(0);
        if (handled_by != willing)
            printf("handled by the wrong thread\n");
    }
    printf("handled %d\n", handled_count);
    pthread_kill(pthread_self(), SIGUSR1);
    sigset_t pending;
    sigpending(&pending);
    printf("directed at a blocking thread: pending %d handled %d\n", sigismember(&pending, SIGUSR1),
           handled_count);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    printf("handled %d here %d\n", handled_count, handled_by == getpid());
    leave = 1;
    pthread_join(thread, NULL);

    static sigset_t wait;
    sigemptyset(&wait);
    sigaddset(&wait, SIGUSR2);
    sigaddset(&wait, SIGTERM);
    sigaddset(&wait, SIGRTMIN);
    pthread_sigmask(SIG_BLOCK, &wait, &old);
    pthread_create(&thread, NULL, waiter, &wait);
    for (int i = 0; i < 30; i++)
        sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i});
    while (waited < 30)
        pause_ms(1);
    kill(getpid(), SIGTERM);
    void *count;
    pthread_join(thread, &count);
    printf("sigwait took %ld\n", (long)count);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* Threads come and go under a storm of process-directed signals; each must be handled. */
static void *brief(void *argument) {
    (void)argument;
    return NULL;
}
static void storm(void) {
    title("storm");
    signal(SIGUSR1, on_usr1);
    handled_count = 0;
    struct itimerval often = {{0, 500}, {0, 500}}, off = {{0, 0}, {0, 0}};
    signal(SIGALRM, on_usr1);
    MUST(setitimer(ITIMER_REAL, &often, NULL));
    int made = 0;
    for (int i = 0; i < 100 || handled_count < 6; i++) {
        pthread_t thread[3];
        for (int j = 0; j < 3; j++)
            made += pthread_create(&thread[j], NULL, brief, NULL) == 0;
        for (int j = 0; j < 3; j++)
            pthread_join(thread[j], NULL);
    }
    MUST(setitimer(ITIMER_REAL, &off, NULL));
    printf("made all %d handled %d\n", made % 3 == 0, handled_count > 5);
}

static void *exec_end(void *argument) {
    pause_ms((long)argument);
    kill(getpid(), SIGTERM);
    for (;;)
        pause();
    return NULL;
}

static void ends(void) {
    title("the end of a process with threads");
    for (int i = 0; i < 3; i++) {
        pid_t child = fork_flushed();
        if (!child) {
            pthread_t thread;
            stop = 0;
            pthread_create(&thread, NULL, compute, (void *)0);
            pthread_create(&thread, NULL, sleeper, (void *)1);
            if (i == 0)
                pthread_create(&thread, NULL, exec_end, (void *)10);
            else {
                pause_ms(20);
                if (i == 1)
                    *(volatile int *)4 = 0;
                else
                    raise(SIGKILL);
            }
            for (;;)
                pause();
        }
        reap("child", child);
    }
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    preemption();
    cancellation();
    directed();
    storm();
    ends();
    return 0;
}
