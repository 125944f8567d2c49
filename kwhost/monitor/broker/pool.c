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
#include "calls/call.h"
#include "calls/stats.h"

#define MILLISECOND_NS 1000000ul
#define LOOK_PERIOD (100 * MILLISECOND_NS)
#define LOOK_COST (MILLISECOND_NS / 2) /* so that looking at very many takes a tenth of that */
#define PATIENCE (10 * MILLISECOND_NS) /* a job that takes longer is deemed to wait */
#define LOOKS_CERTAIN 3                /* others would have taken the signal meanwhile */
#define LOOKS_MOST 10                  /* nobody else will */

struct meeting {
    struct place_bell bell;
    struct place places[POOL_WORKERS];
    struct pool_worker workers[POOL_WORKERS];
};

long pool_start(struct pool *pool) {
    long memory = host(__NR_mmap, 0, page_up(sizeof(struct meeting)), PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (host_failed(memory))
        return memory;
    pool->bell = &((struct meeting *)memory)->bell;
    pool->places = ((struct meeting *)memory)->places;
    pool->workers = ((struct meeting *)memory)->workers;
    pool->generation = 1;
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
    struct pool_worker *worker = &pool->workers[i];
    worker->since = monotonic_ns();
    worker->look_at = worker->since + LOOK_PERIOD;
    worker->looks = 0;
    worker->freezes = false;
    pool->places[i].ending = 0;
}

static bool give_idle(struct pool *pool, const struct job *job) {
    for (u32 i = 0; i < pool->used; i++) {
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
    if (worker->generation)
        host(__NR_close, worker->pidfd);
    worker->generation = 0;
}

/* Whether there are as many as calls need that do not wait. */
static bool is_at_work(const struct pool *pool) {
    u64 now = monotonic_ns();
    u32 count = 0;
    for (u32 i = 0; i < pool->used; i++)
        count += state_of(pool, i) == PLACE_BUSY && now < pool->workers[i].since + PATIENCE;
    return count >= POOL_AT_WORK;
}

static bool give_new(struct pool *pool, const struct job *job) {
    u32 i = 0;
    while (i < pool->used && state_of(pool, i) != PLACE_FREE)
        i++;
    if (i == POOL_WORKERS || is_at_work(pool))
        return false;
    let_go_of(&pool->workers[i]);
    pool->places[i].job = *job;
    pool->places[i].state = PLACE_BUSY;
    note_given(pool, i);
    long pid = host(__NR_clone, CLONE_PIDFD | SIGCHLD, 0, &pool->workers[i].pidfd, 0, 0);
    if (pid == 0)
        worker_run(&pool->places[i], pool->bell);
    if (pid < 0) {
        pool->places[i].state = PLACE_FREE;
        return false;
    }
    pool->workers[i].generation = pool->generation;
    pool->used = (u32)max_u64(pool->used, i + 1);
    return true;
}

/* Workers tell from here on that they have no job, and are looked at whether they have none yet. */
static void hand_out(struct pool *pool) {
    __atomic_store_n(&pool->bell->wanted, 1, __ATOMIC_SEQ_CST);
    pool->full = !give_idle(pool, &pool->next) && !give_new(pool, &pool->next);
}

void pool_give(struct pool *pool, const struct job *job) {
    if (give_idle(pool, job) || give_new(pool, job))
        return;
    pool->next = *job;
    hand_out(pool);
}

void pool_renew(struct pool *pool) {
    pool->generation++;
}

/* What becomes of a call because of signals of its caller's that no single thread is to take; 0:
 * nothing yet. A restart needs something that is certain to await the caller when it leaves the
 * call, for it would see the kernel's own number for it otherwise. */
static s32 shared_ending(struct pool_worker *worker, const struct broker_request *request,
                         u64 signals) {
    bool first = true;
    worker->signals = worker->looks ? worker->signals & signals : signals;
    worker->looks = worker->signals ? worker->looks + 1 : 0;
    if (worker->looks < LOOKS_CERTAIN)
        return 0;
    if (status_is_certain(request, worker->signals, &first))
        return -BROKER_RESTARTS;
    return first && worker->looks >= LOOKS_MOST ? -EINTR : 0;
}

/* What becomes of a call whose caller is gone, or has something to do first: a signal to handle, or
 * to stand still; 0: it goes on. Standing still may be over in a moment, and counts when it was so
 * the last time. */
static s32 find_ending(struct pool_worker *worker, const struct broker_request *request) {
    const char *status = status_read(request);
    if (!status)
        return -EINTR; /* which nobody hears */
    struct status_signals signals = status_signals(status);
    bool freezes = freezer_freezes(), froze = worker->freezes;
    worker->freezes = freezes;
    if (signals.own)
        return -BROKER_RESTARTS;
    s32 ending = shared_ending(worker, request, signals.shared);
    return !ending && freezes && froze ? -ERESTARTNOINTR : ending;
}

static void lose(struct pool *pool, u32 i) {
    const struct job *job = &pool->places[i].job;
    listener_refuse(&job->request, -EIO); /* with what done, nobody knows */
    stats_end(job->request.nr, job->began, -EIO, false);
    pool->places[i].state = PLACE_FREE;
    let_go_of(&pool->workers[i]);
}

static void look_at(struct pool *pool, u32 i, u64 now) {
    struct pool_worker *worker = &pool->workers[i];
    struct place *place = &pool->places[i];
    worker->look_at = now + max_u64(LOOK_PERIOD, pool->used * LOOK_COST);
    if (host(__NR_pidfd_send_signal, worker->pidfd, 0, 0, 0) == -ESRCH) {
        lose(pool, i); /* it was killed */
        return;
    }
    s32 ending = find_ending(worker, &place->job.request);
    __atomic_store_n(&place->ending, ending, __ATOMIC_SEQ_CST);
    if (ending)
        host(__NR_pidfd_send_signal, worker->pidfd, WORKER_KICK, 0, 0);
}

u64 pool_tend(struct pool *pool, bool rung) {
    u64 now = monotonic_ns(), times;
    u32 used = 0;
    if (rung)
        host(__NR_read, pool->bell->fd, &times, sizeof times);
    if (pool->full)
        hand_out(pool);
    u64 next = pool->full ? now + PATIENCE : 0;
    for (u32 i = 0; i < pool->used; i++) {
        struct pool_worker *worker = &pool->workers[i];
        u32 state = state_of(pool, i);
        used = state == PLACE_FREE ? used : i + 1;
        if (state != PLACE_BUSY)
            continue;
        if (now >= worker->look_at)
            look_at(pool, i, now);
        if (!next || worker->look_at < next)
            next = worker->look_at;
    }
    pool->used = used;
    return next;
}
