#include "jail/joiner.h"

#include <asm/signal.h>
#include <linux/prctl.h>
#include <linux/sched.h>

#include "base/text.h"
#include "jail/descriptors.h"
#include "jail/entry.h"
#include "jail/filter.h"
#include "jail/keeper.h"
#include "jail/kernel.h"
#include "jail/network.h"
#include "jail/supervisor.h"

/* With a request of a client's: the record, /dev/kvm where there are monitors, and three more
 * unless it asks for a terminal. */
#define CLIENT_FDS 5

enum request_type { REQUEST_JOIN, REQUEST_SOCKET };
struct request {
    u32 type;
    u32 place, flags; /* REQUEST_JOIN; shared: a bit for each of enum join_fd that comes along */
    u32 shared;
    u32 family, kind; /* REQUEST_SOCKET */
};

struct answer {
    long result; /* REQUEST_JOIN: the helper's id, with its pidfd and the way's end; or an errno */
};

/* The joiner's own state. */
struct joiner {
    struct join base; /* what is the same for all who join */
    int *born;
    int channel; /* to supervise */
};

/* Runs in the helper of a program that is to join. */
static _Noreturn void help(struct join *join, const int *fds, u32 count) {
    struct entry failed = {.channel = join->channel};
    struct launch launch;
    if (count == 0)
        fail(&failed.failure, STATUS_OWN, 0, "descriptors are missing");
    else if (launch_read_exec(fds[0], join->instance->record, &launch, &failed.failure)) {
        bool has_terminal = launch_is(&launch, KW_LAUNCH_TTY);
        u32 stdio = launch_is_process(&launch) ? 1 : 2;
        join->launch = &launch;
        if (count == stdio + (has_terminal ? 0 : 3)) {
            join->kvm = stdio == 2 ? fds[1] : -1;
            for (u32 i = 0; i < 3; i++)
                join->stdio[i] = has_terminal ? -1 : fds[stdio + i];
            join_enter(join);
        }
        fail(&failed.failure, STATUS_OWN, 0, "descriptors are missing");
    }
    entry_fail(&failed);
}

/* Supervise becomes the helper's parent, as it is the joiner's. */
static void serve_join(const struct joiner *joiner, const struct request *request, const int *fds,
                       u32 count) {
    struct join join = joiner->base;
    struct answer answer = {.result = -EBADMSG};
    int ends[2], way[2], helper = -1;
    u32 used = 0;
    for (u32 i = 0; i < JOIN_FDS; i++)
        join.shared[i] = request->shared >> i & 1 && used < count ? fds[used++] : -1;
    if (request->place < JOINED_MAX)
        answer.result = channel_pair(ends);
    if (answer.result < 0) {
        channel_send(joiner->channel, &answer, sizeof answer, NULL, 0);
        return;
    }
    join.flags = request->flags;
    join.pid = &joiner->born[request->place];
    join.channel = ends[1];
    answer.result = host(__NR_clone, CLONE_PARENT | CLONE_PIDFD | SIGCHLD, 0, &helper, 0, 0);
    if (answer.result == 0)
        help(&join, fds + used, count - used);
    way[0] = helper;
    way[1] = ends[0];
    channel_send(joiner->channel, &answer, sizeof answer, way, answer.result > 0 ? 2 : 0);
    host(__NR_close, ends[0]);
    host(__NR_close, ends[1]);
    if (answer.result > 0)
        host(__NR_close, helper);
}

static void serve_socket(const struct joiner *joiner, const struct request *request) {
    bool with_user = launch_is(joiner->base.instance, KW_LAUNCH_ROOTLESS);
    /* A program without namespaces has no network, and the host's is not for others. */
    struct answer answer = {
        launch_is_bare(joiner->base.instance)
            ? -ENETUNREACH
            : network_socket(joiner->base.first, with_user, request->family, request->kind)};
    int fd = (int)answer.result;
    channel_send(joiner->channel, &answer, sizeof answer, &fd, fd >= 0);
    if (fd >= 0)
        host(__NR_close, fd);
}

/* With supervise. A program without a monitor may have undone that it ends with its parent. */
static _Noreturn void end(const struct joiner *joiner) {
    const struct join *base = &joiner->base;
    u32 signal = launch_is_bare(base->instance) ? KEEPER_END : SIGKILL;
    if (launch_is_process(base->instance))
        host(__NR_pidfd_send_signal, base->first, signal, 0, 0);
    for (;;)
        host(__NR_exit_group, 0);
}

static _Noreturn void run(const struct joiner *joiner) {
    struct request request;
    int fds[JOIN_FDS + CLIENT_FDS];
    u32 count;
    for (;;) {
        long size = channel_receive(joiner->channel, &request, sizeof request, fds, array_size(fds),
                                    &count);
        if (size != sizeof request) /* the end of supervise */
            end(joiner);
        if (request.type == REQUEST_JOIN)
            serve_join(joiner, &request, fds, count);
        else
            serve_socket(joiner, &request);
        for (u32 i = 0; i < count; i++)
            host(__NR_close, fds[i]);
    }
}

/* Nothing else that supervise holds: the ends of streams and connections are seen there alone. */
static void keep_own(const struct joiner *joiner) {
    const struct join *base = &joiner->base;
    const int *cgroups = base->instance->record->guest_cgroup_fds;
    int kept[6 + KW_CGROUPS_MAX] = {joiner->channel, base->first,  base->self,
                                    base->stats,     base->policy, base->bell};
    memcpy(kept + 6, cgroups, KW_CGROUPS_MAX * sizeof(int));
    descriptors_keep(kept, array_size(kept));
}

static _Noreturn void begin(const struct supervisor *supervisor, int *born, int channel) {
    struct joiner joiner = {.base = {.instance = &supervisor->launch,
                                     .first = supervisor->instance.pidfd,
                                     .self = supervisor->instance.self,
                                     .stats = supervisor->stats,
                                     .policy = supervisor->policies.table_fd,
                                     .bell = supervisor->policies.bell,
                                     .filter = &supervisor->policies.filter,
                                     .ceiling = supervisor->instance.ceiling,
                                     .stdio = {-1, -1, -1}},
                            .born = born,
                            .channel = channel};
    host(__NR_prctl, PR_SET_NAME, "kw-joiner", 0, 0, 0);
    keep_own(&joiner);
    /* Programs without monitors would inherit a filter that is made for monitors. */
    if (launch_is_process(&supervisor->launch) ||
        filter_set(FILTER_JOINER, 0, ceiling_calls(supervisor->instance.ceiling)) >= 0)
        run(&joiner);
    for (;;) /* supervise is told at its first request */
        host(__NR_exit_group, STATUS_OWN);
}

bool joiner_start(const struct supervisor *supervisor, int *born, int *channel,
                  struct failure *failure) {
    int ends[2];
    long result = channel_pair(ends);
    if (result < 0)
        return fail(failure, STATUS_OWN, result, "making a socket pair");
    result = host(__NR_fork);
    if (result == 0)
        begin(supervisor, born, ends[1]);
    host(__NR_close, ends[1]);
    *channel = ends[0];
    return result > 0 || fail(failure, STATUS_OWN, result, "making a process");
}

/* Asks, and waits for the answer, which takes the joiner no longer than it took supervise itself.
 */
static long ask(int channel, const struct request *request, const int *fds, u32 count, int *got,
                u32 wanted) {
    struct answer answer = {.result = -EIO};
    long result = channel_send(channel, request, sizeof *request, fds, count);
    u32 came = 0;
    if (result >= 0)
        result = channel_receive(channel, &answer, sizeof answer, got, wanted, &came);
    if (result != sizeof answer)
        return -EPIPE;
    return answer.result >= 0 && came != wanted ? -EIO : answer.result;
}

long joiner_join(int channel, u32 place, u32 flags, const int shared[JOIN_FDS], const int *fds,
                 u32 count, struct joiner_way *way) {
    struct request request = {.type = REQUEST_JOIN, .place = place, .flags = flags};
    int all[JOIN_FDS + CLIENT_FDS], got[2];
    u32 used = 0;
    for (u32 i = 0; i < JOIN_FDS; i++)
        if (shared[i] >= 0) {
            request.shared |= 1u << i;
            all[used++] = shared[i];
        }
    for (u32 i = 0; i < count && i < CLIENT_FDS; i++)
        all[used++] = fds[i];
    long result = ask(channel, &request, all, used, got, 2);
    if (result > 0)
        *way = (struct joiner_way){(int)result, got[0], got[1]};
    return result > 0 ? 0 : result;
}

long joiner_socket(int channel, u32 family, u32 type) {
    const struct request request = {.type = REQUEST_SOCKET, .family = family, .kind = type};
    int fd;
    long result = ask(channel, &request, NULL, 0, &fd, 1);
    return result < 0 ? result : fd;
}
