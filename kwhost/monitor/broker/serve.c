#include "broker/serve.h"

#include <asm/poll.h>
#include <asm/signal.h>
#include <linux/mman.h>
#include <linux/poll.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/time_types.h>

#include "base/clock.h"
#include "base/own_fd.h"
#include "base/report.h"
#include "broker/confine.h"
#include "broker/freezer.h"
#include "broker/listener.h"
#include "broker/permit.h"
#include "broker/pool.h"
#include "calls/stats.h"
#include "jail/clock.h"
#include "jail/descriptors.h"
#include "jail/identity.h"
#include "jail/idmap.h"
#include "jail/keeper.h"
#include "jail/kernel.h"
#include "jail/program_rules.h"
#include "jail/supervisor.h"
#include "policy/learn.h"

#define LISTENERS_MAX 1024 /* 64 programs join at once; others left programs behind */
/* It holds one for each listener and each worker, and these some of their own. */
#define DESCRIPTORS_MAX (LISTENERS_MAX + POOL_WORKERS + 1024ul)

struct listener {
    int fd;
    bool began; /* the program was executed: until then it is its own way there that asks */
};

struct serving {
    const struct supervisor *supervisor;
    int channel, first; /* to supervise; pidfd of the instance's first process */
    u32 count;
    struct listener listeners[LISTENERS_MAX];
    struct pool pool;
    struct failure failure;
};

/* The instance does not go on without. */
static _Noreturn void end_all(struct serving *serving) {
    if (serving->failure.status)
        channel_send_now(serving->channel, &serving->failure, sizeof serving->failure, NULL, 0);
    bool bare = launch_is_bare(&serving->supervisor->launch);
    host(__NR_pidfd_send_signal, serving->first, bare ? KEEPER_END : SIGKILL, 0, 0);
    for (;;)
        host(__NR_exit_group, 0);
}

/* The user namespace, which is the first, gives an ordinary user the right to join the others, and
 * takes from host root that over a network namespace which was given. */
static bool join(struct serving *serving, const int *namespaces) {
    u32 start = launch_is(&serving->supervisor->launch, KW_LAUNCH_ROOTLESS) ? 0 : 1;
    long result = 0;
    for (u32 i = 0; i < NAMESPACE_FDS && result >= 0; i++)
        result = host(__NR_setns, namespaces[(start + i) % NAMESPACE_FDS], 0);
    return result >= 0 ||
           fail(&serving->failure, STATUS_OWN, result, "the broker's way into the instance");
}

static bool enter_root(struct serving *serving, int root) {
    long result = host(__NR_fchdir, root);
    if (result >= 0)
        result = host(__NR_chroot, ".");
    if (result < 0)
        return fail(&serving->failure, STATUS_OWN, result, "the broker's way to the root");
    return identity_become_root(idmap_allows_groups(&serving->supervisor->launch),
                                &serving->failure);
}

/* Without namespaces it stays where it is: what it does for programs is to judge, never to act. */
static bool settle(struct serving *serving, int root) {
    bool bare = launch_is_bare(&serving->supervisor->launch);
    if (!bare && !enter_root(serving, root))
        return false;
    long result = confine(bare);
    return result >= 0 || fail(&serving->failure, STATUS_OWN, result, "confining the broker");
}

static void add_listener(struct serving *serving, int fd) {
    if (serving->count == LISTENERS_MAX) {
        host(__NR_close, fd); /* what asks there fails with ENOSYS */
        return;
    }
    const struct program_filter *filter = &serving->supervisor->policies.filter;
    serving->listeners[serving->count++] =
        (struct listener){.fd = fd, .began = !program_filter_asks_to_begin(filter)};
    pool_renew(&serving->pool);
}

/* The last of its programs has ended. */
static void remove_listener(struct serving *serving, u32 i) {
    host(__NR_close, serving->listeners[i].fd);
    serving->listeners[i] = serving->listeners[--serving->count];
    pool_renew(&serving->pool);
}

static void hear_supervise(struct serving *serving) {
    u32 message, count;
    int fds[NAMESPACE_FDS];
    long size =
        channel_receive(serving->channel, &message, sizeof message, fds, NAMESPACE_FDS, &count);
    if (size != sizeof message || count != (message == BROKER_NAMESPACES ? NAMESPACE_FDS : 1))
        end_all(serving);
    if (message == BROKER_LISTENER) {
        add_listener(serving, fds[0]);
        return;
    }
    if (!(message == BROKER_NAMESPACES ? join(serving, fds) : settle(serving, fds[0])))
        end_all(serving);
    for (u32 i = 0; i < count; i++)
        host(__NR_close, fds[i]);
}

/* The launch's own execve is not the program's. */
static bool begins(struct listener *listener, const struct broker_request *request) {
    bool first = !listener->began && request->nr == __NR_execve;
    listener->began = listener->began || first;
    return first;
}

/* What may take long is a worker's, who judges a call from the beginning if it has to be asked
 * about. */
static void serve(struct serving *serving, struct listener *listener) {
    struct job job = {.began = stats_ticks()};
    struct broker_request *request = &job.request;
    if (!listener_receive(listener->fd, request))
        return;
    stats_begin(request->nr);
    if (begins(listener, request))
        job.begins = &serving->supervisor->launch;
    long refused = job.begins ? 0 : permit_request(request);
    job.judged = refused != -BROKER_ASKS;
    if (!job.judged || (!refused && worker_is_needed(request))) {
        pool_give(&serving->pool, &job);
        return;
    }
    if (refused)
        listener_refuse(request, refused);
    else
        listener_continue(request);
    stats_end(request->nr, job.began, refused, false);
}

enum { CHANNEL, BELL, LISTENERS, POLLS = LISTENERS + LISTENERS_MAX };

static void wait(struct serving *serving, struct pollfd polls[POLLS], u64 until) {
    u64 now = monotonic_ns(), left = until > now ? until - now : 0;
    struct __kernel_timespec timeout = {(s64)(left / SECOND_NS), (s64)(left % SECOND_NS)};
    polls[CHANNEL] = (struct pollfd){.fd = serving->channel, .events = POLLIN};
    polls[BELL] = (struct pollfd){.fd = serving->pool.bell->fd, .events = POLLIN};
    short events = serving->pool.full ? 0 : POLLIN;
    for (u32 i = 0; i < serving->count; i++)
        polls[LISTENERS + i] = (struct pollfd){.fd = serving->listeners[i].fd, .events = events};
    if (host(__NR_ppoll, polls, LISTENERS + serving->count, until ? &timeout : NULL, 0, 0) <= 0)
        for (u32 i = 0; i < LISTENERS + serving->count; i++)
            polls[i].revents = 0;
}

static _Noreturn void run(struct serving *serving) {
    struct pollfd polls[POLLS];
    for (bool rung = false;; rung = polls[BELL].revents) {
        wait(serving, polls, pool_tend(&serving->pool, rung));
        for (u32 i = serving->count;
             i-- > 0;) { /* from the end: what goes is replaced by the last */
            if (!(polls[LISTENERS + i].revents & POLLIN) && polls[LISTENERS + i].revents)
                remove_listener(serving, i);
            else if (polls[LISTENERS + i].revents && !serving->pool.full)
                serve(serving, &serving->listeners[i]);
        }
        if (polls[CHANNEL].revents)
            hear_supervise(serving);
    }
}

/* Where the parts that monitors use as well look for them. */
static long place(int fd, enum own_fd which) {
    return fd < 0 ? 0 : host(__NR_dup3, fd, own_fd(which), O_CLOEXEC);
}

static bool place_descriptors(struct serving *serving) {
    const struct policies *policies = &serving->supervisor->policies;
    struct rlimit64 limit;
    long result = host(__NR_prlimit64, 0, RLIMIT_NOFILE, 0, &limit);
    limit.rlim_cur = limit.rlim_max = min_u64(limit.rlim_max, DESCRIPTORS_MAX);
    if (result >= 0)
        result = host(__NR_prlimit64, 0, RLIMIT_NOFILE, &limit, 0);
    own_fd_base_renew();
    if (result >= 0)
        result = place(serving->supervisor->stats, OWN_STATS);
    if (result >= 0)
        result = place(policies->table_fd, OWN_POLICY);
    if (result >= 0)
        result = place(policies->bell, OWN_BELL);
    if (result >= 0)
        result = place(policies->learn, OWN_LEARN);
    return result >= 0 ||
           fail(&serving->failure, STATUS_OWN, result, "placing the broker's descriptors");
}

/* Nothing else that supervise holds: the ends of streams and connections are seen there alone. */
static void keep_own(const struct serving *serving) {
    const struct policies *policies = &serving->supervisor->policies;
    int kept[] = {serving->channel,
                  serving->first,
                  broker_procfs,
                  freezer,
                  own_fd(OWN_STATS),
                  policies->table_fd < 0 ? -1 : own_fd(OWN_POLICY),
                  policies->bell < 0 ? -1 : own_fd(OWN_BELL),
                  policies->learn < 0 ? -1 : own_fd(OWN_LEARN)};
    descriptors_keep(kept, array_size(kept));
}

/* Read-only here, as for monitors: supervise alone writes a table. */
static bool map_shared(struct serving *serving) {
    const char *what = "the statistics";
    long page = host(__NR_mmap, 0, page_up(sizeof(struct kw_stats)), PROT_READ | PROT_WRITE,
                     MAP_SHARED, own_fd(OWN_STATS), 0);
    if (host_failed(page))
        return fail(&serving->failure, STATUS_OWN, page, "the broker's memory: %s", what);
    stats_page = (struct kw_stats *)page;
    if (!serving->supervisor->policies.table)
        return true;
    host(__NR_munmap, serving->supervisor->policies.table, KW_POLICY_TABLE_SIZE);
    int error = policy_start(&what);
    return !error || fail(&serving->failure, STATUS_OWN, error, "the broker's memory: %s", what);
}

/* Where nobody may look into a process, not even as its root, no argument in memory can be had. */
static bool can_look(struct serving *serving) {
    char scope = 0;
    long fd =
        host(__NR_openat, broker_procfs, "sys/kernel/yama/ptrace_scope", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        host(__NR_read, fd, &scope, 1);
        host(__NR_close, fd);
    }
    if (scope != '3' || (!broker_rules && !learning()))
        return true;
    return fail(
        &serving->failure, STATUS_OWN, 0,
        "kernel.yama.ptrace_scope is 3, so nobody can judge what lies in a program's memory: "
        "start the host with 2 or less, or use a policy without rules on files and addresses");
}

static bool prepare(struct serving *serving) {
    if (!listener_is_understood())
        return fail(&serving->failure, STATUS_OWN, 0,
                    "this kernel's notices of seccomp(2) are larger than those known here");
    broker_procfs = (int)host(__NR_openat, AT_FDCWD, "/proc", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (broker_procfs < 0)
        return fail(&serving->failure, STATUS_OWN, broker_procfs, "opening /proc");
    freezer = freezer_open(serving->supervisor->launch.record->guest_cgroup_fds);
    if (!place_descriptors(serving))
        return false;
    keep_own(serving);
    struct program_filter filter = serving->supervisor->policies.filter;
    filter.files = true; /* also what is asked about for another rule's sake is judged here */
    broker_rules = program_filter_rules(&filter);
    broker_is_bare = launch_is_bare(&serving->supervisor->launch);
    broker_scratch = launch_scratch(&serving->supervisor->launch);
    if (broker_is_bare) /* there are no sockets that addresses could mean anything to */
        broker_rules &= ~PROGRAM_RULES_NETWORK;
    long result = pool_start(&serving->pool);
    if (result < 0)
        return fail(&serving->failure, STATUS_OWN, result, "memory for the broker's workers");
    return map_shared(serving) && can_look(serving);
}

_Noreturn void broker_serve(const struct supervisor *supervisor, int channel) {
    static struct serving serving;
    serving.supervisor = supervisor;
    serving.channel = channel;
    serving.first = supervisor->instance.pidfd;
    host(__NR_prctl, PR_SET_NAME, "kw-broker", 0, 0, 0);
    if (!prepare(&serving))
        end_all(&serving);
    run(&serving);
}
