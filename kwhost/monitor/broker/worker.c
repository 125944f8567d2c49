#include "broker/worker.h"

#include <asm/signal.h>
#include <linux/futex.h>
#include <linux/prctl.h>
#include <linux/time_types.h>

#include "base/host.h"
#include "broker/ask.h"
#include "broker/executed.h"
#include "broker/listener.h"
#include "broker/permit.h"
#include "calls/call.h"
#include "calls/stats.h"

#define IDLE_SECONDS 5

int broker_procfs = -1;

static int broker; /* its process id */

extern void host_signal_return(void);

static void interrupted(int signal) {
    (void)signal; /* the host call that waited has ended with EINTR */
}

void worker_prepare(void) {
    struct {
        void (*handler)(int);
        u64 flags;
        void (*restorer)(void);
        u64 mask;
    } action = {interrupted, SA_RESTORER, host_signal_return, 0};
    u64 none = 0;
    host(__NR_rt_sigaction, WORKER_KICK, &action, 0, sizeof none);
    action.handler = SIG_IGN; /* nobody waits for workers that have ended; callers are told of it */
    host(__NR_rt_sigaction, SIGCHLD, &action, 0, sizeof none);
    host(__NR_rt_sigaction, SIGXFSZ, &action, 0, sizeof none);
    host(__NR_rt_sigprocmask, SIG_SETMASK, &none, 0, sizeof none);
    broker = (int)host(__NR_getpid);
}

void broker_follow(void) {
    host(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (host(__NR_getppid) != broker)
        host(__NR_exit_group, 0);
}

bool worker_is_needed(const struct broker_request *request) {
    return broker_performs(request) || executed_is_learnt(request);
}

/* True: its caller may make the call itself. */
static bool attempt(struct job *job, struct broker_result *result) {
    const struct broker_request *request = &job->request;
    *result = (struct broker_result){.fd = -1};
    if (!job->judged)
        result->value = permit_request(request);
    if (result->value)
        return false;
    job->judged = true;
    if (executed_is_learnt(request))
        executed_learn(request, job->begins);
    if (!broker_performs(request))
        return true;
    broker_perform(request, result);
    return false;
}

/* Whether there has to be another attempt: after a yes, and where the broker has not said what the
 * call ends with, so that what interrupted it was meant for the one before. */
static bool is_open(struct place *place, struct broker_result *result) {
    if (result->value == -BROKER_ASKS)
        result->value = ask_settle(&place->job.request);
    else if (result->value != -BROKER_RESTARTS)
        return false;
    if (result->value == -BROKER_RESTARTS)
        result->value = __atomic_load_n(&place->ending, __ATOMIC_SEQ_CST);
    return !result->value;
}

/* Does the job: answers its call. */
static void work(struct place *place) {
    const struct broker_request *request = &place->job.request;
    struct broker_result result;
    bool passes = attempt(&place->job, &result);
    while (is_open(place, &result))
        passes = attempt(&place->job, &result);
    ask_forget();
    if (passes)
        listener_continue(request);
    else
        listener_answer(request, &result);
    stats_end(request->nr, place->job.began, result.value, false);
}

static _Noreturn void leave(void) {
    for (;;)
        host(__NR_exit_group, 0);
}

/* Long enough idle, it takes itself away before anybody gives it another job. */
static void wait(struct place *place) {
    const struct __kernel_timespec patience = {.tv_sec = IDLE_SECONDS};
    u32 idle = PLACE_IDLE;
    if (host(__NR_futex, &place->state, FUTEX_WAIT, idle, &patience) == -ETIMEDOUT &&
        __atomic_compare_exchange_n(&place->state, &idle, PLACE_FREE, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST))
        leave();
}

static void tell(struct place *place, struct place_bell *bell, enum place_state state) {
    u64 one = 1;
    __atomic_store_n(&place->state, state, __ATOMIC_SEQ_CST);
    if (__atomic_exchange_n(&bell->wanted, 0, __ATOMIC_SEQ_CST) == 1)
        host(__NR_write, bell->fd, &one, sizeof one);
}

_Noreturn void worker_run(struct place *place, struct place_bell *bell) {
    const u64 by_default[4] = {0};
    host(__NR_rt_sigaction, SIGCHLD, by_default, 0, sizeof(u64));
    broker_follow();
    if (broker_prepare() < 0) /* whose job it was is told by the broker, who finds it gone */
        leave();
    for (;;) {
        switch (__atomic_load_n(&place->state, __ATOMIC_SEQ_CST)) {
        case PLACE_BUSY:
            work(place);
            tell(place, bell, PLACE_IDLE);
            break;
        case PLACE_IDLE:
            wait(place);
            break;
        default:
            tell(place, bell, PLACE_FREE);
            leave();
        }
    }
}
