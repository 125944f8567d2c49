#include "broker/pool.h"

#include <linux/mman.h>
#include <asm/signal.h>
#include <linux/fcntl.h>
#include <linux/futex.h>
#include <linux/sched.h>

#include "base/clock.h"
#include "base/host.h"
#include "broker/freezer.h"
#include "broker/listener.h"
#include "broker/status.h"
#include "calls/stats.h"

#define LOOK_PERIOD 100000000ul

struct meeting {
    struct place_bell bell;
    struct place places[POOL_WORKERS];
};

long pool_start(struct pool *pool) {
    long memory = host(__NR_mmap, 0, page_up(sizeof(struct meeting)), PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (host_failed(memory))
        return memory;
    pool->bell = &((struct meeting *)memory)->bell;
    pool->places = ((struct meeting *)memory)->places;
    for (u32 i = 0; i < POOL_WORKERS; i++)
        pool->workers[i].pidfd = -1;
    worker_prepare();
    pool->bell->fd = (int)host(__NR_eventfd2, 0, O_CLOEXEC | O_NONBLOCK);
    return pool->bell->fd;
}

static u32 state_of(const struct pool *pool, u32 i) {
    return __atomic_load_n(&pool->places[i].state, __ATOMIC_SEQ_CST);
}

static bool change(struct pool *pool, u32 i, u32 from, u32 to) {
    u32 *state = &pool->places[i].state;
    if (!__atomic_compare_exchange_n(state, &from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        return false;
    host(__NR_futex, state, FUTEX_WAKE, 1);
    return true;
}

static void note_given(struct pool *pool, u32 i) {
    pool->workers[i].look_at = monotonic_ns() + LOOK_PERIOD;
    pool->workers[i].signals = 0;
    pool->workers[i].freezes = false;
}

static bool give_idle(struct pool *pool, const struct job *job) {
    for (u32 i = 0; i < POOL_WORKERS; i++) {
        if (state_of(pool, i) != PLACE_IDLE)
            continue;
        if (pool->workers[i].generation != pool->generation) {
            change(pool, i, PLACE_IDLE, PLACE_LEAVING);
            continue;
        }
        pool->places[i].job = *job; /* of which an idle worker sees nothing */
        note_given(pool, i);
        if (change(pool, i, PLACE_IDLE, PLACE_BUSY))
            return true;
    }
    return false;
}

static void let_go_of(struct pool_worker *worker) {
    if (worker->pidfd >= 0)
        host(__NR_close, worker->pidfd);
    worker->pidfd = -1;
}

/* Returns 1, 0 where there is no place, or a negative errno. */
static long give_new(struct pool *pool, const struct job *job) {
    u32 i = 0;
    while (i < POOL_WORKERS && state_of(pool, i) != PLACE_FREE)
        i++;
    if (i == POOL_WORKERS)
        return 0;
    let_go_of(&pool->workers[i]);
    pool->places[i].job = *job;
    pool->places[i].state = PLACE_BUSY;
    pool->workers[i].generation = pool->generation;
    note_given(pool, i);
    long pid = host(__NR_clone, CLONE_PIDFD | SIGCHLD, 0, &pool->workers[i].pidfd, 0, 0);
    if (pid == 0)
        worker_run(&pool->places[i], pool->bell);
    if (pid < 0)
        pool->places[i].state = PLACE_FREE;
    return pid < 0 ? pid : 1;
}

static void refuse(const struct job *job, long error) {
    listener_refuse(&job->request, error);
    stats_end(job->request.nr, job->began, error, false);
}

/* False: it has to wait for a worker. */
static bool give(struct pool *pool, const struct job *job) {
    if (give_idle(pool, job))
        return true;
    long result = give_new(pool, job);
    if (result >= 0)
        return result;
    for (u32 i = 0; i < POOL_WORKERS; i++)
        if (state_of(pool, i) != PLACE_FREE)
            return false;
    refuse(job, -EAGAIN); /* there is none, and none can be made */
    return true;
}

/* False: there is no room. */
static bool queue(struct pool *pool, const struct job *job) {
    if (pool->count == POOL_WAITING)
        return false;
    pool->waiting[(pool->first + pool->count++) % POOL_WAITING] = *job;
    return true;
}

void pool_give(struct pool *pool, const struct job *job) {
    bool given = !pool->count && give(pool, job);
    if (!given && !queue(pool, job))
        refuse(job, -EAGAIN);
}

void pool_renew(struct pool *pool) {
    pool->generation++;
}

/* What was given back is the last in turn. Without room for it the worker goes on. */
static void take_back(struct pool *pool) {
    for (u32 i = 0; i < POOL_WORKERS; i++)
        if (state_of(pool, i) == PLACE_BACK) {
            note_given(pool, i);
            bool taken = queue(pool, &pool->places[i].job);
            change(pool, i, PLACE_BACK, taken ? PLACE_IDLE : PLACE_BUSY);
        }
}

/* Workers tell from here on that they have no job, and are looked at whether they have none yet. */
static void hand_out(struct pool *pool) {
    __atomic_store_n(&pool->bell->wanted, 1, __ATOMIC_SEQ_CST);
    take_back(pool);
    while (pool->count && give(pool, &pool->waiting[pool->first])) {
        pool->first = (pool->first + 1) % POOL_WAITING;
        pool->count--;
    }
    __atomic_store_n(&pool->bell->crowded, pool->count > 0, __ATOMIC_SEQ_CST);
}

/* Whether a caller is gone, or has something to do first: a signal to handle, or to stand still.
 * What may be over in a moment, or some other thread's, counts when it was there the last time. */
static bool is_wanted_back(struct pool_worker *worker, const struct broker_request *request) {
    const char *status = status_read(request);
    if (!status)
        return true;
    struct status_signals signals = status_signals(status);
    bool freezes = freezer_freezes(),
         wanted = signals.sure || signals.any & worker->signals || (freezes && worker->freezes);
    worker->signals = signals.any;
    worker->freezes = freezes;
    return wanted;
}

/* Others want to, and nothing is lost when it gives its job back. */
static bool is_in_turn(const struct pool *pool, const struct place *place) {
    return pool->count && !__atomic_load_n(&place->asks, __ATOMIC_SEQ_CST);
}

static void look_at(struct pool *pool, u32 i, u64 now) {
    struct pool_worker *worker = &pool->workers[i];
    struct place *place = &pool->places[i];
    worker->look_at = now + LOOK_PERIOD;
    if (host(__NR_pidfd_send_signal, worker->pidfd, 0, 0, 0) == -ESRCH) {
        refuse(&place->job, -EIO); /* it was killed: with what done, nobody knows */
        place->state = PLACE_FREE;
        let_go_of(worker);
    } else if (is_wanted_back(worker, &place->job.request) || is_in_turn(pool, place)) {
        host(__NR_pidfd_send_signal, worker->pidfd, WORKER_KICK, 0, 0);
    }
}

u64 pool_tend(struct pool *pool, bool rung) {
    u64 now = monotonic_ns(), next = 0, times;
    if (rung)
        host(__NR_read, pool->bell->fd, &times, sizeof times);
    if (pool->count || rung)
        hand_out(pool);
    for (u32 i = 0; i < POOL_WORKERS; i++) {
        struct pool_worker *worker = &pool->workers[i];
        if (state_of(pool, i) != PLACE_BUSY)
            continue;
        if (now >= worker->look_at)
            look_at(pool, i, now);
        if (!next || worker->look_at < next)
            next = worker->look_at;
    }
    return next;
}
