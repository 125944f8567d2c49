/* Clocks, sleeping, POSIX timers, interval timers, the vDSO. */
#include "check.h"
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sched.h>

static volatile sig_atomic_t taken, overruns, value;
static void on_timer(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    taken++;
    value = info->si_value.sival_int;
    overruns += info->si_overrun;
}
static void on_signal(int signal) {
    (void)signal;
    taken++;
}

static int64_t nanoseconds(clockid_t clock, bool raw) {
    struct timespec time;
    if (raw ? syscall(SYS_clock_gettime, clock, &time) : clock_gettime(clock, &time))
        return -1;
    return time.tv_sec * 1000000000 + time.tv_nsec;
}

static void reading(void) {
    title("reading");
    clockid_t clocks[] = {
        CLOCK_REALTIME,         CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE,
        CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME,  CLOCK_TAI,           CLOCK_PROCESS_CPUTIME_ID,
        CLOCK_THREAD_CPUTIME_ID};
    for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        int good = 0;
        for (int k = 0; k < 1000; k++) {
            int64_t one = nanoseconds(clocks[i], false);
            int64_t two = nanoseconds(clocks[i], k % 10 == 0);
            good += one >= 0 && two >= one && two - one < 5000000000;
        }
        struct timespec resolution;
        int result = clock_getres(clocks[i], &resolution);
        printf("clock %d: never back %d of 1000, resolution %d %d\n", clocks[i], good, result,
               resolution.tv_nsec <= 10000000);
    }
    struct timespec now;
    SHOW(clock_gettime(99, &now));
    SHOW(syscall(SYS_clock_gettime, CLOCK_REALTIME, 8));
    SHOW(clock_getres(99, NULL));
    SHOW(clock_getres(CLOCK_MONOTONIC, NULL));
    struct timeval value_now;
    SHOW(gettimeofday(&value_now, NULL));
    time_t seconds = time(NULL);
    IS(labs(value_now.tv_sec - seconds) <= 1);
    SHOW(clock_settime(CLOCK_REALTIME, &(struct timespec){1, 1}));
    SHOW(settimeofday(&value_now, NULL));
    struct timex info = {0};
    SHOW(adjtimex(&info) >= 0);
    info.modes = ADJ_FREQUENCY;
    SHOW(adjtimex(&info));
    clockid_t mine;
    SHOW(clock_getcpuclockid(0, &mine));
    SHOW(clock_gettime(mine, &now));
    unsigned cpu = 77, node = 77;
    SHOW(getcpu(&cpu, &node));
    IS((long)cpu < sysconf(_SC_NPROCESSORS_CONF) && node < 64);
    IS(sched_getcpu() >= 0);
}

static void sleeping(void) {
    title("sleeping");
    struct timespec time = {0, 30000000}, left = {9, 9};
    int64_t start = nanoseconds(CLOCK_MONOTONIC, false);
    SHOW(nanosleep(&time, NULL));
    IS(nanoseconds(CLOCK_MONOTONIC, false) - start >= 30000000);
    time.tv_nsec = 1000000000;
    SHOW(nanosleep(&time, NULL));
    time = (struct timespec){-1, 0};
    SHOW(nanosleep(&time, NULL));
    SHOW(syscall(SYS_nanosleep, 8, NULL));
    clock_gettime(CLOCK_MONOTONIC, &time);
    time.tv_nsec += 20000000;
    if (time.tv_nsec >= 1000000000)
        time.tv_sec++, time.tv_nsec -= 1000000000;
    SHOW(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL));
    SHOW(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &time, NULL));
    SHOW(clock_nanosleep(77, 0, &time, NULL));
    signal(SIGALRM, on_signal);
    struct itimerval soon = {.it_value = {0, 200000}};
    MUST(setitimer(ITIMER_REAL, &soon, NULL));
    time = (struct timespec){10, 0};
    SHOW(nanosleep(&time, &left));
    IS(left.tv_sec == 9 && left.tv_nsec > 0);
    MUST(setitimer(ITIMER_REAL, &soon, NULL));
    SHOW(pause());
    SHOW(alarm(100));
    IS(alarm(0) >= 99);
}

static void timers(void) {
    title("POSIX timers");
    struct sigaction action = {.sa_sigaction = on_timer, .sa_flags = SA_SIGINFO};
    sigaction(SIGRTMIN + 1, &action, NULL);
    struct sigevent how = {
        .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1, .sigev_value.sival_int = 4711};
    timer_t timer;
    taken = 0;
    SHOW(timer_create(CLOCK_MONOTONIC, &how, &timer));
    struct itimerspec time = {{0, 3000000}, {0, 3000000}}, now;
    SHOW(timer_settime(timer, 0, &time, NULL));
    for (int64_t end = now_ms() + 5000; taken < 5 && now_ms() < end;)
        pause_ms(10);
    printf("taken %d value %d\n", taken >= 5, value);
    SHOW(timer_gettime(timer, &now));
    printf("interval %ld\n", now.it_interval.tv_nsec);
    SHOW(timer_getoverrun(timer) >= 0);
    SHOW(timer_delete(timer));
    SHOW(syscall(SYS_timer_delete, 12345));
    how.sigev_signo = 99;
    SHOW(timer_create(CLOCK_MONOTONIC, &how, &timer));
    how.sigev_signo = SIGRTMIN + 1;
    SHOW(timer_create(99, &how, &timer));
    SHOW(syscall(SYS_timer_create, CLOCK_MONOTONIC, 8, &timer));
    how = (struct sigevent){
        .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN + 1, .sigev_value.sival_int = 5};
    how._sigev_un._tid = gettid();
    taken = 0;
    SHOW(timer_create(CLOCK_MONOTONIC, &how, &timer));
    time = (struct itimerspec){{0, 0}, {0, 1000000}};
    SHOW(timer_settime(timer, 0, &time, NULL));
    for (int64_t end = now_ms() + 5000; !taken && now_ms() < end;)
        pause_ms(5);
    printf("to this thread %d value %d\n", taken, value);
}

static void intervals(void) {
    title("interval timers");
    struct itimerval time = {{0, 2000}, {0, 2000}}, old;
    signal(SIGVTALRM, on_signal);
    signal(SIGPROF, on_signal);
    taken = 0;
    SHOW(setitimer(ITIMER_VIRTUAL, &time, NULL));
    int64_t end = now_ms() + 5000;
    while (taken < 3 && now_ms() < end)
        for (volatile int i = 0; i < 100000; i++)
            ;
    printf("virtual %d\n", taken >= 3);
    SHOW(getitimer(ITIMER_VIRTUAL, &old));
    IS(old.it_interval.tv_usec >= 2000);
    time = (struct itimerval){{0, 0}, {0, 0}};
    SHOW(setitimer(ITIMER_VIRTUAL, &time, NULL));
    taken = 0;
    time = (struct itimerval){{0, 2000}, {0, 2000}};
    SHOW(setitimer(ITIMER_PROF, &time, NULL));
    end = now_ms() + 5000;
    while (taken < 3 && now_ms() < end)
        for (volatile int i = 0; i < 100000; i++)
            ;
    printf("profiling %d\n", taken >= 3);
    SHOW(setitimer(9, &time, NULL));
    time.it_value.tv_usec = 2000000;
    SHOW(setitimer(ITIMER_REAL, &time, NULL));
    SHOW(getitimer(ITIMER_REAL, (void *)8));
    struct itimerval none = {0};
    setitimer(ITIMER_PROF, &none, NULL);
    struct rusage usage;
    SHOW(getrusage(RUSAGE_SELF, &usage));
    IS(usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec > 5000);
    SHOW(getrusage(RUSAGE_CHILDREN, &usage));
    SHOW(getrusage(RUSAGE_THREAD, &usage));
    SHOW(getrusage(55, &usage));
    IS(clock() > 5000);
}

int main(void) {
    reading();
    sleeping();
    timers();
    intervals();
    return 0;
}
