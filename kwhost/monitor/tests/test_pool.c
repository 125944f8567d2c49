/* link: broker/pool.c broker/worker.c broker/listener.c broker/status.c broker/freezer.c
 * process/restorer.S base/text.c */
/* The broker's workers, with real callers: processes whose filter hands getppid over. What becomes
 * of it says its first argument. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "broker/ask.h"
#include "broker/executed.h"
#include "broker/listener.h"
#include "broker/permit.h"
#include "broker/pool.h"
#include "calls/stats.h"
#include "check.h"

enum what { PASSES, TELLS_WORKER, WAITS, WAITS_ONCE, GIVES_FILE, WAITS_FOR_GO, SAYS_GO };

struct shared {
    u32 begun; /* calls that a worker has begun with */
    u32 go;
    long result;
};
static struct shared *shared;
static struct pool pool;
static int listener;

/* What the pool is tested with: the rest of the broker. */
bool broker_performs(const struct broker_request *request) {
    return request->arg[0] != PASSES;
}

long broker_prepare(void) {
    return 0;
}

long permit_request(const struct broker_request *request) {
    (void)request;
    return 0;
}

bool executed_is_learnt(const struct broker_request *request) {
    (void)request;
    return false;
}

void executed_learn(const struct broker_request *request, const struct launch *begins) {
    (void)request, (void)begins;
}

long ask_settle(const struct broker_request *request) {
    (void)request;
    return 0;
}

void ask_forget(void) {
}

void stats_end(u64 nr, u64 began, long result, bool refused) {
    (void)nr, (void)began, (void)result, (void)refused;
}

static long wait_long(void) {
    struct timespec end = {100, 0};
    return nanosleep(&end, NULL) ? -BROKER_RESTARTS : -ETIMEDOUT;
}

static long wait_for_go(void) {
    long result = 7;
    while (result == 7 && !__atomic_load_n(&shared->go, __ATOMIC_SEQ_CST))
        result = usleep(10000) ? -BROKER_RESTARTS : 7;
    return result;
}

void broker_perform(const struct broker_request *request, struct broker_result *result) {
    u32 before = __atomic_fetch_add(&shared->begun, 1, __ATOMIC_SEQ_CST);
    switch ((enum what)request->arg[0]) {
    case TELLS_WORKER:
        result->value = getpid();
        break;
    case WAITS:
        result->value = wait_long();
        break;
    case WAITS_ONCE:
        result->value = before ? 7 : wait_long();
        break;
    case GIVES_FILE:
        result->fd = open("/dev/null", O_RDONLY);
        result->fd_flags = O_CLOEXEC;
        break;
    case WAITS_FOR_GO:
        result->value = wait_for_go();
        break;
    case SAYS_GO:
        __atomic_store_n(&shared->go, 1, __ATOMIC_SEQ_CST);
        result->value = 7;
        break;
    case PASSES:
        break;
    }
}

/* A caller's filter; its listener. */
static int set_filter(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                        SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
                        &program);
}

static int ask_kernel(enum what what) {
    return (int)syscall(SYS_getppid, what);
}

/* A caller with that to do; the listener of its filter is this process's, too. */
static pid_t start(void (*run)(void)) {
    int ends[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
    memset(shared, 0, sizeof *shared);
    pid_t caller = fork();
    if (caller == 0) {
        int fd = set_filter();
        write(ends[1], &fd, sizeof fd);
        read(ends[1], &fd, sizeof fd); /* until it has been taken */
        close(ends[0]);
        run();
        _exit(0);
    }
    int number;
    read(ends[0], &number, sizeof number);
    int process = (int)syscall(SYS_pidfd_open, caller, 0);
    listener = (int)syscall(SYS_pidfd_getfd, process, number, 0);
    close(process);
    pool_renew(&pool);
    write(ends[0], &number, sizeof number);
    close(ends[0]);
    close(ends[1]);
    return caller;
}

/* Nobody waits for children here: they go when they end. */
static bool has_ended(pid_t caller) {
    return kill(caller, 0) != 0;
}

/* The broker's loop, until the caller has ended or `enough` calls are made. */
static void serve(pid_t caller, u32 enough) {
    bool rung = false;
    while (!has_ended(caller) && __atomic_load_n(&shared->begun, __ATOMIC_SEQ_CST) < enough) {
        struct pollfd polls[] = {{.fd = listener, .events = POLLIN},
                                 {.fd = pool.bell->fd, .events = POLLIN}};
        struct job job = {.judged = true};
        pool_tend(&pool, rung);
        polls[0].events = pool.full ? 0 : POLLIN;
        poll(polls, 2, 10);
        if (polls[0].revents & POLLIN && listener_receive(listener, &job.request))
            pool_give(&pool, &job);
        rung = polls[1].revents;
    }
}

static void finish(pid_t caller) {
    serve(caller, ~0u);
    close(listener);
}

static void note(long result) {
    shared->result = result;
}

static void call_passing(void) {
    note(ask_kernel(PASSES));
}

static void test_what_is_not_performed_is_made_by_the_caller(void) {
    finish(start(call_passing));
    CHECK_EQUAL(getpid(), shared->result);
}

/* A worker that has just answered may not be idle yet. */
#define SOME 50

static void call_again_and_again(void) {
    int workers[SOME], count = 0;
    for (int i = 0; i < SOME; i++) {
        int worker = ask_kernel(TELLS_WORKER), at = 0;
        while (at < count && workers[at] != worker)
            at++;
        if (at == count)
            workers[count++] = worker;
    }
    note(count);
}

static void test_idle_workers_are_used_again(void) {
    finish(start(call_again_and_again));
    CHECK(shared->result >= 1 && shared->result < SOME / 10);
}

static void call_for_worker(void) {
    note(ask_kernel(TELLS_WORKER));
}

static void test_workers_have_the_listeners_that_are_there(void) {
    finish(start(call_for_worker));
    long before = shared->result;
    finish(start(call_for_worker));
    CHECK(shared->result > 0 && shared->result != before);
}

static void call_for_file(void) {
    int fd = ask_kernel(GIVES_FILE);
    note(fd > 2 && fcntl(fd, F_GETFD) == FD_CLOEXEC && read(fd, &fd, 1) == 0);
}

static void test_a_descriptor_is_handed_over(void) {
    finish(start(call_for_file));
    CHECK_EQUAL(1, shared->result);
}

static void call_waiting(void) {
    ask_kernel(WAITS);
}

static void call_for_files(void) {
    long good = 0;
    for (int i = 0; i < 500; i++) {
        int fd = ask_kernel(GIVES_FILE);
        good += fd > 2 && close(fd) == 0;
    }
    note(good);
}

static void *kick(void *unused) {
    for (u32 i = 0; !__atomic_load_n(&shared->result, __ATOMIC_SEQ_CST); i++)
        syscall(SYS_pidfd_send_signal, pool.workers[i % 4].pidfd, WORKER_KICK, NULL, 0);
    return unused;
}

static void test_a_descriptor_is_handed_over_undisturbed(void) {
    pthread_t kicks;
    pid_t caller = start(call_for_files);
    pthread_create(&kicks, NULL, kick, NULL);
    finish(caller);
    pthread_join(kicks, NULL);
    CHECK_EQUAL(500, shared->result);
}

static u32 busy(void) {
    u32 count = 0;
    for (u32 i = 0; i < pool.used; i++)
        count += __atomic_load_n(&pool.places[i].state, __ATOMIC_SEQ_CST) == PLACE_BUSY;
    return count;
}

static void test_the_call_of_a_dead_caller_ends(void) {
    pid_t caller = start(call_waiting);
    serve(caller, 1);
    CHECK_EQUAL(1, busy());
    kill(caller, SIGKILL);
    finish(caller);
    for (u32 i = 0; busy() && i < 10000; i++) {
        pool_tend(&pool, false);
        usleep(1000);
    }
    CHECK_EQUAL(0, busy());
}

static void handle(int signal) {
    (void)signal;
}

static void call_with_handler(int flags, enum what what) {
    struct sigaction action = {.sa_handler = handle, .sa_flags = flags};
    sigaction(SIGUSR1, &action, NULL);
    int result = ask_kernel(what);
    note(result < 0 ? -errno : result);
}

static void call_interruptible(void) {
    call_with_handler(0, WAITS);
}

static void call_restarting(void) {
    call_with_handler(SA_RESTART, WAITS_ONCE);
}

static void test_a_signal_ends_a_call(void) {
    pid_t caller = start(call_interruptible);
    serve(caller, 1);
    kill(caller, SIGUSR1);
    finish(caller);
    CHECK_EQUAL(-EINTR, shared->result);
}

static void test_a_call_is_made_again_after_a_signal(void) {
    pid_t caller = start(call_restarting);
    serve(caller, 1);
    kill(caller, SIGUSR1);
    finish(caller);
    CHECK_EQUAL(7, shared->result);
    CHECK_EQUAL(2, shared->begun);
}

static void *sleep_long(void *unused) {
    shared->go = 1;
    pause();
    return unused;
}

static void *spin(void *unused) {
    shared->go = 1;
    for (;;)
        __asm__ volatile("pause");
    return unused;
}

static void call_beside(void *(*other)(void *)) {
    pthread_t thread;
    pthread_create(&thread, NULL, other, NULL);
    while (!__atomic_load_n(&shared->go, __ATOMIC_SEQ_CST))
        usleep(1000); /* at its start it may take any signal */
    call_restarting();
}

static void call_beside_a_sleeper(void) {
    call_beside(sleep_long);
}

static void call_beside_a_busy_one(void) {
    call_beside(spin);
}

/* The kernel would have woken the other thread. */
static void test_a_call_is_made_again_where_the_signal_can_only_be_its_own(void) {
    pid_t caller = start(call_beside_a_sleeper);
    serve(caller, 1);
    kill(caller, SIGUSR1);
    finish(caller);
    CHECK_EQUAL(7, shared->result);
}

/* It might be about to take the signal: then nothing would make the call again. */
static void test_a_call_ends_where_a_signal_may_be_anothers(void) {
    pid_t caller = start(call_beside_a_busy_one);
    serve(caller, 1);
    kill(caller, SIGUSR1);
    finish(caller);
    CHECK_EQUAL(-EINTR, shared->result);
}

static void test_the_call_of_a_dead_worker_fails(void) {
    pid_t caller = start(call_restarting);
    serve(caller, 1);
    for (u32 i = 0; i < pool.used; i++)
        if (pool.places[i].state == PLACE_BUSY)
            syscall(SYS_pidfd_send_signal, pool.workers[i].pidfd, SIGKILL, NULL, 0);
    finish(caller);
    CHECK_EQUAL(-EIO, shared->result);
}

#define MANY (20 * POOL_AT_WORK)

static void *call_once(void *what) {
    return (void *)(long)ask_kernel((enum what)(long)what);
}

/* All but the last wait for it. */
static void call_for_each_other(void) {
    pthread_t threads[MANY];
    long good = 0;
    for (u32 i = 0; i < MANY; i++)
        pthread_create(&threads[i], NULL, call_once,
                       (void *)(i < MANY - 1 ? (long)WAITS_FOR_GO : (long)SAYS_GO));
    for (u32 i = 0; i < MANY; i++) {
        void *result;
        pthread_join(threads[i], &result);
        good += result == (void *)7;
    }
    note(good);
}

static void test_each_call_that_waits_has_a_worker(void) {
    finish(start(call_for_each_other));
    CHECK_EQUAL(MANY, shared->result);
}

int main(void) {
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    broker_procfs = open("/proc", O_PATH);
    CHECK(listener_is_understood());
    CHECK(pool_start(&pool) >= 0);
    test_what_is_not_performed_is_made_by_the_caller();
    test_idle_workers_are_used_again();
    test_workers_have_the_listeners_that_are_there();
    test_a_descriptor_is_handed_over();
    test_a_descriptor_is_handed_over_undisturbed();
    test_the_call_of_a_dead_caller_ends();
    test_a_signal_ends_a_call();
    test_a_call_is_made_again_after_a_signal();
    test_a_call_is_made_again_where_the_signal_can_only_be_its_own();
    test_a_call_ends_where_a_signal_may_be_anothers();
    test_the_call_of_a_dead_worker_fails();
    test_each_call_that_waits_has_a_worker();
    return check_done();
}
