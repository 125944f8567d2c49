#include "jail/supervise.h"

#include <asm/signal.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <linux/time_types.h>

#include "base/text.h"
#include "jail/default_action.h"
#include "jail/end.h"
#include "jail/executable.h"
#include "jail/filter.h"
#include "jail/inheritance.h"
#include "jail/keeper.h"
#include "jail/kernel.h"
#include "jail/supervisor.h"
#include "jail/taps.h"
#include "process/exec.h"

void supervisor_signal(struct supervisor *supervisor, u32 signal) {
    if (supervisor->instance.pid <= 0 || supervisor->exited)
        return;
    if (default_action_ends(supervisor, signal)) {
        supervisor->ended_by = signal;
        signal = SIGKILL;
    }
    if (launch_is_bare(&supervisor->launch))
        signal = keeper_signal(signal);
    host(__NR_pidfd_send_signal, supervisor->instance.pidfd, signal, 0, 0);
}

/* Collects the first process. With it the kernel has ended every process of the instance. */
static void reap(struct supervisor *supervisor) {
    long result;
    if (supervisor->instance.pid <= 0 || supervisor->exited)
        return;
    do
        result = host(__NR_wait4, supervisor->instance.pid, &supervisor->status, 0, 0);
    while (result == -EINTR);
    supervisor->exited = true;
}

_Noreturn void supervisor_end_at_once(struct supervisor *supervisor) {
    supervisor_signal(supervisor, SIGKILL);
    companion_end(&supervisor->companion);
    reap(supervisor);
    for (;;)
        host(__NR_exit_group, 0);
}

static bool check_stats(int fd, struct failure *failure) {
    struct statx stat;
    long result = host_stat(fd, "", AT_EMPTY_PATH, &stat);
    if (result < 0 || stat.stx_size < sizeof(struct kw_stats))
        return fail(failure, STATUS_OWN, result < 0 ? result : 0, "no statistics page was given");
    /* The instance may write into it but not take it away from under its readers. */
    host(__NR_fcntl, fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    return true;
}

static bool make_buffers(struct supervisor *supervisor) {
    long memory = host(__NR_mmap, 0, 3 * RELAY_SIZE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (host_failed(memory))
        return fail(&supervisor->failure, STATUS_OWN, memory, "memory for input and output");
    supervisor->buffers = (u8 *)memory;
    return true;
}

static void start_relays(struct supervisor *supervisor, bool is_terminal) {
    const int *pipes = supervisor->instance.pipes;
    struct relay *relays = supervisor->relays;
    u8 *buffers = supervisor->buffers;
    int input = is_terminal ? supervisor->master : pipes[0];
    int output = is_terminal ? supervisor->master : pipes[1];
    if (!launch_is(&supervisor->launch, KW_LAUNCH_STDIN))
        input = -1;
    if (supervisor->hosted) {
        streams_start(&supervisor->hosted->streams, input, output, pipes[2], is_terminal);
        return;
    }
    if (input >= 0)
        relay_to_instance(&relays[0], 0, input, is_terminal, buffers);
    if (output >= 0)
        relay_from_instance(&relays[1], output, 1, is_terminal, buffers + RELAY_SIZE);
    if (pipes[2] >= 0)
        relay_from_instance(&relays[2], pipes[2], 2, false, buffers + 2 * RELAY_SIZE);
}

static bool start(struct supervisor *supervisor, int record_fd) {
    struct failure *failure = &supervisor->failure;
    struct kw_message notice;
    bool valid = launch_read(record_fd, &supervisor->launch, failure);
    const struct kw_launch *record = supervisor->launch.record;
    if (record && record->control_fd >= 0)
        control_add(supervisor, record->control_fd);
    if (!valid)
        return false;
    bool hosted = launch_is(&supervisor->launch, KW_LAUNCH_HOSTED);
    /* A program without a monitor may be the file that its process has been running until then. */
    if ((hosted || launch_is_process(&supervisor->launch)) && supervisor->instance.self < 0)
        return executable_run_copy(record_fd, failure);
    host(__NR_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0); /* of a file that cannot be read it is not */
    inheritance_separate_pages();
    inheritance_close_others(&supervisor->launch, supervisor->instance.self);
    supervisor->lifeline = record->lifeline_fd;
    supervisor->stats = record->stats_fd;
    supervisor->listen = record->listen_fd;
    supervisor->exit_file = record->exit_fd;
    if (!taps_check(&supervisor->launch, failure) || !taps_refuse(&supervisor->launch, failure))
        return false;
    if (!check_stats(record->stats_fd, failure) || !policies_prepare(supervisor) ||
        !ceiling_read(record->ceiling_fd, &supervisor->instance.ceiling, failure))
        return false;
    supervisor->instance.policy = supervisor->policies.table_fd;
    supervisor->instance.bell = supervisor->policies.bell;
    supervisor->instance.learn = supervisor->policies.learn;
    supervisor->instance.filter = &supervisor->policies.filter;
    if (!launch_is(&supervisor->launch, KW_LAUNCH_ROOTLESS) && host(__NR_geteuid) != 0)
        return fail(failure, STATUS_OWN, 0,
                    "a range of ids of its own needs root, or rootless mode");
    if (!(hosted ? hosted_prepare(supervisor) : make_buffers(supervisor)) ||
        !instance_start(&supervisor->launch, &supervisor->instance, failure))
        return false;
    host(__NR_close, record->kvm_fd);
    host(__NR_chdir, "/"); /* holds no directory of the caller's in use */
    if (instance_notice(&supervisor->instance, &notice))
        control_tell(supervisor, &notice);
    start_relays(supervisor, false);
    if (launch_is_process(&supervisor->launch) && !broker_start(supervisor))
        return false;
    if (hosted && !joiner_start(supervisor, supervisor->hosted->joined.born,
                                &supervisor->hosted->joined.joiner, failure))
        return false;
    long result = filter_set(hosted ? FILTER_HOSTED : FILTER_SUPERVISE, 0, NULL);
    return result >= 0 ||
           fail(failure, STATUS_OWN, result, "setting supervise's own seccomp filter");
}

/* The child got as far as the program. */
static void note_started(struct supervisor *supervisor) {
    u32 pid = (u32)supervisor->instance.pid;
    struct kw_message event = {.type = KW_EVENT_STARTED, .value = pid, .extra = pid};
    supervisor->running = true;
    supervisor->started = clock_realtime();
    if (supervisor->hosted)
        resident_start(&supervisor->hosted->resident, supervisor->launch.record->resident_limit);
    control_tell(supervisor, &event);
}

/* What later processes get, and the broker. */
static void take_join(struct supervisor *supervisor, const struct channel_report *report,
                      const int *fds, u32 count) {
    int join[JOIN_FDS];
    u32 next = 0;
    for (u32 i = 0; i < JOIN_FDS; i++)
        join[i] = report->shared >> i & 1 && next < count ? fds[next++] : -1;
    if (launch_is_process(&supervisor->launch))
        broker_enter(&supervisor->broker, join[JOIN_ROOT]);
    if (supervisor->hosted) {
        memcpy(supervisor->hosted->join, join, sizeof join);
        supervisor->hosted->join_flags = report->value;
        return;
    }
    for (u32 i = 0; i < next; i++)
        host(__NR_close, fds[i]);
}

static void take_listener(struct supervisor *supervisor, int listener, bool carried) {
    supervisor->policies.filter.files = !carried;
    if (supervisor->hosted && carried)
        supervisor->hosted->join_flags |= EXEC_CARRIED;
    broker_listen(&supervisor->broker, listener);
}

/* A report of the child on its way into the jail; its silence means that the program runs. */
static void handle_channel(struct supervisor *supervisor) {
    struct channel_report report;
    int fds[NAMESPACE_FDS];
    u32 count;
    _Static_assert((u32)JOIN_FDS <= (u32)NAMESPACE_FDS, "none brings more descriptors");
    long size = channel_receive(supervisor->instance.channel, &report, sizeof report, fds,
                                NAMESPACE_FDS, &count);
    if (size == sizeof report && report.type == CHANNEL_FAILED) {
        supervisor->failure = report.failure;
    } else if (size == sizeof report && report.type == CHANNEL_TERMINAL && count == 2) {
        supervisor->master = fds[0];
        supervisor->slave = fds[1];
        start_relays(supervisor, true);
    } else if (size == sizeof report && report.type == CHANNEL_JOIN) {
        take_join(supervisor, &report, fds, count);
    } else if (size == sizeof report && report.type == CHANNEL_NAMESPACES &&
               count == NAMESPACE_FDS) {
        broker_join(&supervisor->broker, fds);
    } else if (size == sizeof report && report.type == CHANNEL_LISTENER && count == 1) {
        take_listener(supervisor, fds[0], report.value);
    } else if (size == sizeof report && report.type == CHANNEL_NETWORK && count == NETWORK_FDS) {
        companion_want(supervisor, fds);
    } else {
        host(__NR_close, supervisor->instance.channel);
        supervisor->instance.channel = -1;
        if (supervisor->failure.status == 0)
            note_started(supervisor);
    }
}

/* The lifeline carries nothing; its end is what counts. */
static void handle_lifeline(struct supervisor *supervisor) {
    char byte;
    if (host(__NR_read, supervisor->lifeline, &byte, 1) <= 0)
        supervisor_end_at_once(supervisor);
}

static void report_loss(struct supervisor *supervisor, struct relay *relay) {
    struct kw_message event = {.type = KW_EVENT_NOTICE};
    if (!relay->lost)
        return;
    format(event.text, sizeof event.text, "the program's output was lost: %s",
           error_text(relay->lost));
    control_tell(supervisor, &event);
    relay->lost = 0;
}

/* Does what is due at this time. Returns when the next is; 0: nothing is planned. */
static u64 keep_time(struct supervisor *supervisor) {
    u64 now = clock_monotonic();
    if (supervisor->kill_at && now >= supervisor->kill_at) {
        supervisor->kill_at = 0;
        supervisor_signal(supervisor, SIGKILL);
        if (supervisor->hosted)
            streams_hurry(&supervisor->hosted->streams);
    }
    u64 next = supervisor->hosted ? hosted_keep_time(supervisor, now) : 0;
    return earliest(earliest(next, supervisor->kill_at), policies_tell(supervisor, now));
}

enum {
    CHANNEL,
    LIFELINE,
    EXIT,
    LISTEN,
    POLICY,
    COMPANION,
    BROKER,
    CONNECTIONS,
    IO = CONNECTIONS + KW_CONNECTIONS_MAX,
    JOINED = IO + STREAMS_POLLS,
    POLLS = JOINED + JOINED_POLLS
};

/* Waits until something happens or `deadline`. Returns false when nothing did. */
static bool wait_until(struct supervisor *supervisor, struct pollfd polls[POLLS], u64 deadline) {
    u32 count = supervisor->hosted ? (u32)POLLS : IO + 3;
    u64 now = clock_monotonic(), left = deadline > now ? deadline - now : 0;
    struct __kernel_timespec timeout = {(long long)(left / SECOND_NS),
                                        (long long)(left % SECOND_NS)};
    polls[CHANNEL] = (struct pollfd){.fd = supervisor->instance.channel, .events = POLLIN};
    polls[LIFELINE] = (struct pollfd){.fd = supervisor->lifeline, .events = POLLIN};
    polls[EXIT] = (struct pollfd){.fd = supervisor->exited ? -1 : supervisor->instance.pidfd,
                                  .events = POLLIN};
    polls[LISTEN] = (struct pollfd){.fd = supervisor->listen, .events = POLLIN};
    polls[COMPANION] = (struct pollfd){.fd = supervisor->companion.pidfd, .events = POLLIN};
    polls[BROKER] = (struct pollfd){.fd = supervisor->broker.pidfd, .events = POLLIN};
    polls[POLICY] = (struct pollfd){.fd = policies_wants(&supervisor->policies), .events = POLLIN};
    for (u32 i = 0; i < KW_CONNECTIONS_MAX; i++)
        polls[CONNECTIONS + i] =
            (struct pollfd){.fd = supervisor->connections[i].fd, .events = POLLIN};
    if (supervisor->hosted) {
        streams_wants(&supervisor->hosted->streams, polls + IO);
        joined_wants(&supervisor->hosted->joined, polls + JOINED);
    } else {
        for (u32 i = 0; i < 3; i++)
            polls[IO + i] = relay_wants(&supervisor->relays[i]);
    }
    return host(__NR_ppoll, polls, count, deadline ? &timeout : NULL, 0, 0) > 0;
}

static void move_output(struct supervisor *supervisor, const struct pollfd *polls) {
    if (supervisor->hosted) {
        streams_move(&supervisor->hosted->streams, polls);
        return;
    }
    for (u32 i = 0; i < 3; i++)
        if (polls[i].revents) {
            relay_move(&supervisor->relays[i]);
            report_loss(supervisor, &supervisor->relays[i]);
        }
}

static void wait_and_handle(struct supervisor *supervisor) {
    struct pollfd polls[POLLS];
    if (!wait_until(supervisor, polls, keep_time(supervisor)))
        return;
    if (polls[CHANNEL].revents)
        handle_channel(supervisor);
    if (polls[LIFELINE].revents)
        handle_lifeline(supervisor);
    move_output(supervisor, polls + IO);
    if (supervisor->hosted)
        joined_handle(&supervisor->hosted->joined, polls + JOINED, &supervisor->broker);
    for (u32 i = 0; i < KW_CONNECTIONS_MAX; i++)
        if (polls[CONNECTIONS + i].revents && supervisor->connections[i].fd >= 0)
            control_receive(supervisor, &supervisor->connections[i]);
    if (polls[COMPANION].revents)
        companion_ended(supervisor);
    if (polls[BROKER].revents)
        broker_ended(supervisor);
    if (polls[LISTEN].revents)
        control_accept(supervisor);
    if (polls[EXIT].revents)
        reap(supervisor);
}

static bool is_drained(struct supervisor *supervisor) {
    if (supervisor->hosted)
        return streams_are_drained(&supervisor->hosted->streams);
    return relay_is_drained(&supervisor->relays[1]) && relay_is_drained(&supervisor->relays[2]);
}

static void run(struct supervisor *supervisor) {
    while (!supervisor->exited)
        wait_and_handle(supervisor);
    while (supervisor->instance.channel >= 0)
        handle_channel(supervisor);
    /* The program's end is reported after its last output, and what it was denied. */
    policies_tell(supervisor, clock_monotonic());
    supervisor->relays[0].ended = true;
    if (supervisor->hosted)
        streams_end_input(&supervisor->hosted->streams);
    if (supervisor->slave >= 0)
        host(__NR_close, supervisor->slave);
    while (!is_drained(supervisor) ||
           (supervisor->hosted && joined_any(&supervisor->hosted->joined)))
        wait_and_handle(supervisor);
}

_Noreturn void supervise_main(int record_fd, int self) {
    struct supervisor supervisor = {
        .listen = -1,
        .lifeline = -1,
        .stats = -1,
        .exit_file = -1,
        .master = -1,
        .slave = -1,
        .policies = {.table_fd = -1, .bell = -1, .learn = -1},
        .companion = {.fds = {-1, -1}, .pidfd = -1, .lifeline = -1},
        .broker = {.pidfd = -1, .channel = -1},
        .started = clock_realtime(),
        .instance = {.pid = -1, .pidfd = -1, .channel = -1, .self = self}};
    for (u32 i = 0; i < 3; i++)
        supervisor.relays[i].ended = true;
    control_prepare(&supervisor);
    host(__NR_setsid);
    host(__NR_prctl, PR_SET_NAME, "kw-supervise", 0, 0, 0);
    inheritance_reset_signals();
    inheritance_fill_stdio();
    bool started = start(&supervisor, record_fd);
    if (started) {
        run(&supervisor);
    } else {
        supervisor_signal(&supervisor, SIGKILL);
        reap(&supervisor);
    }
    companion_end(&supervisor.companion);
    broker_end(&supervisor.broker);
    end_report(&supervisor);
    for (;;)
        host(__NR_exit_group, started ? 0 : supervisor.failure.status);
}
