/* POSIX threads: creation, TLS, mutexes, conditions, barriers, cancellation, thread-specific data.
 */
#include "check.h"
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>

static __thread int tls_zero;
static __thread int tls_data = 42;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long total;
static int stage;

static void *adding(void *argument) {
    long id = (long)argument;
    if (tls_zero != 0 || tls_data != 42)
        printf("bad TLS\n");
    tls_data = (int)id;
    for (int i = 0; i < 2000; i++) {
        pthread_mutex_lock(&lock);
        total += 1;
        pthread_mutex_unlock(&lock);
        if (i % 500 == 0)
            sched_yield();
    }
    return (void *)(id * 10 + (tls_data == (int)id));
}

static void counting(void) {
    title("many threads");
    pthread_t threads[24];
    long sum = 0;
    for (long i = 0; i < 24; i++)
        MUST(pthread_create(&threads[i], NULL, adding, (void *)i) == 0 ? 0 : -1);
    for (int i = 0; i < 24; i++) {
        void *result;
        pthread_join(threads[i], &result);
        sum += (long)result;
    }
    printf("total %ld results %ld main's TLS %d\n", total, sum, tls_data);
    int made = 0;
    for (int i = 0; i < 300; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, adding, (void *)1l) == 0 &&
            pthread_join(thread, NULL) == 0)
            made++;
    }
    printf("one after the other %d total %ld\n", made, total);
}

static void *stages(void *unused) {
    (void)unused;
    pthread_mutex_lock(&lock);
    while (stage < 3)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void conditions(void) {
    title("conditions");
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, stages, NULL);
    for (int i = 0; i < 3; i++) {
        pthread_mutex_lock(&lock);
        stage++;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    struct timespec soon;
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_nsec += 20000000;
    if (soon.tv_nsec >= 1000000000)
        soon.tv_sec++, soon.tv_nsec -= 1000000000;
    pthread_mutex_lock(&lock);
    printf("timed wait: %s\n", error_name(pthread_cond_timedwait(&changed, &lock, &soon)));
    printf("trylock: %s\n", error_name(pthread_mutex_trylock(&lock)));
    printf("timedlock: %s\n", error_name(pthread_mutex_timedlock(&lock, &soon)));
    pthread_mutex_unlock(&lock);
}

static pthread_barrier_t barrier;
static volatile int arrived;
static void *arriving(void *unused) {
    (void)unused;
    __sync_fetch_and_add(&arrived, 1);
    long serial = pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD;
    return (void *)(serial * 100 + (arrived == 8));
}

static void barriers(void) {
    title("barrier");
    pthread_t threads[8];
    long sum = 0;
    pthread_barrier_init(&barrier, NULL, 8);
    for (int i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, arriving, NULL);
    for (int i = 0; i < 8; i++) {
        void *result;
        pthread_join(threads[i], &result);
        sum += (long)result;
    }
    printf("sum %ld\n", sum);
}

static volatile int cleaned, begun;
static void clean(void *unused) {
    (void)unused;
    cleaned++;
}
static void *sleeping(void *unused) {
    pthread_cleanup_push(clean, NULL);
    begun = 1;
    pause_ms(60000);
    pthread_cleanup_pop(0);
    return unused;
}
static pthread_key_t key;
static volatile int destroyed;
static void destroy(void *value) {
    destroyed += (int)(long)value;
}
static void *with_key(void *unused) {
    pthread_setspecific(key, (void *)5l);
    return unused;
}

static void ending(void) {
    title("cancellation and destructors");
    pthread_t thread;
    void *result;
    pthread_create(&thread, NULL, sleeping, NULL);
    while (!begun)
        pause_ms(1);
    pause_ms(20); /* it probably sleeps by now */
    pthread_cancel(thread);
    pthread_join(thread, &result);
    printf("cancelled %d cleaned %d\n", result == PTHREAD_CANCELED, cleaned);
    pthread_key_create(&key, destroy);
    pthread_create(&thread, NULL, with_key, NULL);
    pthread_join(thread, NULL);
    printf("destroyed %d\n", destroyed);
    printf("join self: %s\n", error_name(pthread_join(pthread_self(), NULL)));
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    printf("small stack: %s\n", error_name(pthread_attr_setstacksize(&attributes, 100)));
    pthread_attr_setstacksize(&attributes, 64 << 20);
    pthread_attr_setguardsize(&attributes, 1 << 20);
    printf("big stack: %d\n", pthread_create(&thread, &attributes, with_key, NULL));
    pthread_join(thread, NULL);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int once_count;
static void only_once(void) {
    once_count++;
}
static pthread_rwlock_t readers = PTHREAD_RWLOCK_INITIALIZER;
static void *reading(void *unused) {
    pthread_once(&once, only_once);
    for (int i = 0; i < 300; i++) {
        pthread_rwlock_rdlock(&readers);
        pthread_rwlock_unlock(&readers);
        pthread_rwlock_wrlock(&readers);
        total++;
        pthread_rwlock_unlock(&readers);
    }
    return unused;
}

static void *identities(void *main_tid) {
    printf("tid differs %d, same pid %d\n", gettid() != (pid_t)(long)main_tid,
           getpid() == (pid_t)(long)main_tid);
    prctl(PR_SET_NAME, "a-long-thread-name");
    char name[16];
    prctl(PR_GET_NAME, name);
    printf("name %s\n", name);
    return NULL;
}

int main(void) {
    alarm(40);
    counting();
    conditions();
    barriers();
    ending();
    title("once, readers and writers");
    pthread_t threads[6];
    total = 0;
    for (int i = 0; i < 6; i++)
        pthread_create(&threads[i], NULL, reading, NULL);
    for (int i = 0; i < 6; i++)
        pthread_join(threads[i], NULL);
    printf("once %d total %ld\n", once_count, total);
    title("identities");
    pthread_create(threads, NULL, identities, (void *)(long)getpid());
    pthread_join(*threads, NULL);
    SHOW(syscall(SYS_tgkill, getpid(), gettid(), 0));
    SHOW(syscall(SYS_tgkill, 1 << 21, gettid(), 0));
    SHOW(syscall(SYS_tgkill, getpid(), -1, 0));
    SHOW(syscall(SYS_tkill, gettid(), 99));
    return 0;
}
