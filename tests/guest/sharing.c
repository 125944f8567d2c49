/* Memory shared between processes: anonymous, files, System V segments; copy-on-write; futexes
 * across. */
#include "check.h"
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/ipc.h>
#include <sys/shm.h>

#define PAGE 4096ul
#define RW (PROT_READ | PROT_WRITE)

struct shared {
    volatile int turn;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    sem_t semaphore;
    pthread_barrier_t barrier;
    long counter;
};

static void copy_on_write(void) {
    title("copy on write");
    char *private = mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    strcpy(private, "before");
    static char global[64] = "global";
    char local[64] = "local";
    pid_t child = fork_flushed();
    if (!child) {
        printf("child sees %s %s %s\n", private, global, local);
        strcpy(private, "child's");
        strcpy(global, "child's");
        strcpy(local, "child's");
        pid_t grandchild = fork_flushed();
        if (!grandchild) {
            printf("grandchild sees %s %s %s\n", private, global, local);
            leave_child(0);
        }
        reap("grandchild", grandchild);
        leave_child(3);
    }
    strcpy(private, "parent's");
    reap("child", child);
    printf("parent sees %s %s %s\n", private, global, local);
}

static void ping_pong(struct shared *shared) {
    title("futex ping-pong");
    pid_t child = fork_flushed();
    int me = child == 0;
    for (int i = 0; i < 200; i++) {
        while (shared->turn != me)
            syscall(SYS_futex, &shared->turn, FUTEX_WAIT, !me, NULL, NULL, 0);
        shared->counter++;
        shared->turn = !me;
        syscall(SYS_futex, &shared->turn, FUTEX_WAKE, 1, NULL, NULL, 0);
    }
    if (!child)
        leave_child(0);
    reap("player", child);
    printf("counter %ld\n", shared->counter);
}

static void primitives(struct shared *shared) {
    title("process-shared mutex, condition, semaphore, barrier");
    pthread_mutexattr_t mutex;
    pthread_condattr_t cond;
    pthread_barrierattr_t barrier;
    pthread_mutexattr_init(&mutex);
    pthread_condattr_init(&cond);
    pthread_barrierattr_init(&barrier);
    pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
    pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED);
    pthread_barrierattr_setpshared(&barrier, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&shared->mutex, &mutex);
    pthread_cond_init(&shared->cond, &cond);
    pthread_barrier_init(&shared->barrier, &barrier, 4);
    sem_init(&shared->semaphore, 1, 0);
    shared->counter = 0;
    pid_t children[3];
    for (int k = 0; k < 3; k++) {
        children[k] = fork_flushed();
        if (children[k])
            continue;
        pthread_barrier_wait(&shared->barrier);
        for (int i = 0; i < 500; i++) {
            pthread_mutex_lock(&shared->mutex);
            shared->counter++;
            pthread_cond_signal(&shared->cond);
            pthread_mutex_unlock(&shared->mutex);
        }
        sem_post(&shared->semaphore);
        leave_child(k);
    }
    pthread_barrier_wait(&shared->barrier);
    pthread_mutex_lock(&shared->mutex);
    while (shared->counter < 1500)
        pthread_cond_wait(&shared->cond, &shared->mutex);
    pthread_mutex_unlock(&shared->mutex);
    for (int k = 0; k < 3; k++) {
        sem_wait(&shared->semaphore);
        reap("worker", children[k]);
    }
    printf("counter %ld\n", shared->counter);
}

static void robust(struct shared *shared) {
    title("owner died");
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    for (int how = 0; how < 3; how++) {
        pthread_mutex_init(&shared->mutex, &attributes);
        sem_init(&shared->semaphore, 1, 0);
        pid_t child = fork_flushed();
        if (!child) {
            pthread_mutex_lock(&shared->mutex);
            sem_post(&shared->semaphore);
            if (how == 1)
                abort();
            if (how == 2)
                pause();
            _exit(0);
        }
        sem_wait(&shared->semaphore);
        if (how == 2)
            kill(child, SIGKILL);
        int result = pthread_mutex_lock(&shared->mutex);
        printf("lock: %s\n", result ? error_name(result) : "ok");
        reap("owner", child);
        SHOW(pthread_mutex_consistent(&shared->mutex));
        SHOW(pthread_mutex_unlock(&shared->mutex));
        SHOW(pthread_mutex_lock(&shared->mutex));
        SHOW(pthread_mutex_unlock(&shared->mutex));
    }
}

static void files(void) {
    title("a shared file");
    int fd = MUST(open("f", O_RDWR | O_CREAT, 0600));
    MUST(ftruncate(fd, PAGE));
    pid_t child = fork_flushed();
    if (!child) {
        char *map = MUST(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0));
        strcpy(map, "from the child");
        leave_child(0);
    }
    reap("child", child);
    char *map = MUST(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0));
    printf("%s\n", map);
}

static void segments(void) {
    title("System V shared memory");
    int id = MUST(shmget(IPC_PRIVATE, 3 * PAGE, IPC_CREAT | 0600));
    char *at = shmat(id, NULL, 0);
    if (at == (char *)-1) {
        printf("shmat: %s\n", error_name(errno));
        shmctl(id, IPC_RMID, NULL);
        return;
    }
    pid_t child = fork_flushed();
    if (!child) {
        strcpy(at + PAGE, "through the segment");
        char *again = shmat(id, NULL, SHM_RDONLY);
        printf("second view: %s\n", again + PAGE);
        leave_child(0);
    }
    reap("child", child);
    printf("%s\n", at + PAGE);
    struct shmid_ds info;
    SHOW(shmctl(id, IPC_STAT, &info));
    printf("size %zu attached %lu\n", info.shm_segsz, (unsigned long)info.shm_nattch);
    SHOW(shmat(id, at + 1, 0) == (void *)-1 ? -errno : 0);
    SHOW(shmdt(at));
    SHOW(shmdt(at));
    SHOW(shmctl(id, IPC_RMID, NULL));
    SHOW(shmctl(id, IPC_STAT, &info));
    SHOW(shmget(77777, PAGE, 0));
}

int main(void) {
    alarm(30);
    enter_directory();
    struct shared *shared = MUST(mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    copy_on_write();
    ping_pong(shared);
    primitives(shared);
    robust(shared);
    files();
    segments();
    check_leave();
    return 0;
}
