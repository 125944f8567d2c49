#include "jail/supervise.h"

#include <asm/signal.h>
#include <linux/close_range.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <linux/time.h>
#include <linux/time_types.h>

#include "base/text.h"
#include "jail/channel.h"
#include "jail/exits.h"
#include "jail/kernel.h"
#include "jail/relay.h"
#include "jail/start.h"
#include "jail/terminal.h"

struct supervisor {
    struct launch launch;
    struct instance instance;
    struct relay relays[3];       /* of the program's standard input, output and error */
    u8 *buffers;                  /* RELAY_SIZE each */
    int control, lifeline, stats; /* -1: none (any more) */
    int master, slave; /* of the program's terminal. The slave is held so that the terminal stays up
                        * while no process has it open */
    u64 kill_at;       /* when a stop turns into a kill, CLOCK_MONOTONIC ns; 0: not asked for */
    bool exited;
    int status;             /* of the first process, once it exited */
    struct failure failure; /* status != 0: the start failed */
};

static u64 now(void) {
    struct __kernel_timespec time;
    host(__NR_clock_gettime, CLOCK_MONOTONIC, &time);
    return (u64)time.tv_sec * 1000000000ul + (u64)time.tv_nsec;
}

/* Sends an event. Returns false when there is nobody to tell. */
static bool send_event(struct supervisor *supervisor, struct kw_message *event) {
    event->time_ns = now();
    make_printable(event->text, sizeof event->text);
    return supervisor->control >= 0 &&
           channel_send(supervisor->control, event, sizeof *event, NULL, 0) >= 0;
}

/* Without a control socket the line goes to standard error. */
static void send_failure(struct supervisor *supervisor) {
    struct kw_message event = {.type = KW_EVENT_FAILED, .value = supervisor->failure.status};
    char line[KW_ERROR_MAX + 16];
    memcpy(event.text, supervisor->failure.text, sizeof event.text);
    if (!send_event(supervisor, &event))
        host(__NR_write, 2, line, format(line, sizeof line, "kwhost: %s\n", event.text));
}

static void send_signal(struct supervisor *supervisor, u32 signal) {
    if (supervisor->instance.pid > 0 && !supervisor->exited)
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

/* Nobody waits for the instance any more. */
static _Noreturn void end_at_once(struct supervisor *supervisor) {
    send_signal(supervisor, SIGKILL);
    reap(supervisor);
    for (;;)
        host(__NR_exit_group, 0);
}

/* Keeps standard input, output and error, the descriptors that the record names, and no other. */
static void close_others(const struct kw_launch *record) {
    int kept[] = {record->control_fd, record->lifeline_fd, record->kvm_fd, record->stats_fd,
                  record->lease_fd};
    u32 from = 3;
    for (u32 i = 0; i < array_size(kept); i++)
        for (u32 j = i + 1; j < array_size(kept); j++)
            if (kept[j] < kept[i]) {
                int swap = kept[i];
                kept[i] = kept[j];
                kept[j] = swap;
            }
    for (u32 i = 0; i < array_size(kept); i++) {
        if (kept[i] >= (int)from && kept[i] > 3)
            host(__NR_close_range, from, kept[i] - 1, 0);
        if (kept[i] >= (int)from)
            from = (u32)kept[i] + 1;
    }
    host(__NR_close_range, from, ~0u, 0);
    host(__NR_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC);
}

/* Default dispositions and no mask, whatever the caller had; a closed pipe is an error, not an end.
 */
static void reset_signals(void) {
    struct {
        void *handler;
        u64 flags, restorer, mask;
    } action = {0};
    u64 none = 0;
    for (u32 signal = 1; signal <= 64; signal++) {
        action.handler = signal == SIGPIPE ? SIG_IGN : SIG_DFL;
        host(__NR_rt_sigaction, signal, &action, 0, sizeof none);
    }
    host(__NR_rt_sigprocmask, SIG_SETMASK, &none, 0, sizeof none);
}

/* Descriptors 0 to 2 are open from here on, so that nothing else gets their numbers. */
static void fill_stdio(void) {
    for (int fd = 0; fd < 3; fd++)
        if (host(__NR_fcntl, fd, F_GETFD, 0) < 0)
            host(__NR_openat, AT_FDCWD, "/dev/null", O_RDWR, 0);
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

static void start_relays(struct supervisor *supervisor, bool is_terminal) {
    const int *pipes = supervisor->instance.pipes;
    struct relay *relays = supervisor->relays;
    u8 *buffers = supervisor->buffers;
    int input = is_terminal ? supervisor->master : pipes[0];
    int output = is_terminal ? supervisor->master : pipes[1];
    if (input >= 0 && launch_is(&supervisor->launch, KW_LAUNCH_STDIN))
        relay_to_instance(&relays[0], 0, input, is_terminal, buffers);
    if (output >= 0)
        relay_from_instance(&relays[1], output, 1, is_terminal, buffers + RELAY_SIZE);
    if (pipes[2] >= 0)
        relay_from_instance(&relays[2], pipes[2], 2, false, buffers + 2 * RELAY_SIZE);
}

static bool start(struct supervisor *supervisor, int record_fd) {
    struct failure *failure = &supervisor->failure;
    bool valid = launch_read(record_fd, &supervisor->launch, failure);
    const struct kw_launch *record = supervisor->launch.record;
    supervisor->control = record ? record->control_fd : -1;
    if (!valid)
        return false;
    close_others(record);
    supervisor->lifeline = record->lifeline_fd;
    supervisor->stats = record->stats_fd;
    if (!check_stats(record->stats_fd, failure))
        return false;
    if (!launch_is(&supervisor->launch, KW_LAUNCH_ROOTLESS) && host(__NR_geteuid) != 0)
        return fail(failure, STATUS_OWN, 0,
                    "a range of ids of its own needs root, or rootless mode");
    long memory = host(__NR_mmap, 0, 3 * RELAY_SIZE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (host_failed(memory))
        return fail(failure, STATUS_OWN, memory, "memory for input and output");
    supervisor->buffers = (u8 *)memory;
    if (!instance_start(&supervisor->launch, &supervisor->instance, failure))
        return false;
    host(__NR_close, record->kvm_fd);
    host(__NR_chdir, "/"); /* holds no directory of the caller's in use */
    if (supervisor->instance.unmapped) {
        struct kw_message event = {.type = KW_EVENT_NOTICE};
        format(event.text, sizeof event.text,
               "%s: its file system cannot map owners, so files there belong to nobody",
               supervisor->instance.unmapped);
        send_event(supervisor, &event);
    }
    start_relays(supervisor, false);
    return true;
}

/* A report of the child on its way into the jail; its silence means that the program runs. */
static void handle_channel(struct supervisor *supervisor) {
    struct channel_report report;
    struct kw_message event = {.type = KW_EVENT_STARTED, .value = (u32)supervisor->instance.pid};
    int fds[2];
    u32 count;
    long size =
        channel_receive(supervisor->instance.channel, &report, sizeof report, fds, 2, &count);
    if (size == sizeof report && report.type == CHANNEL_FAILED) {
        supervisor->failure = report.failure;
    } else if (size == sizeof report && report.type == CHANNEL_TERMINAL && count == 2) {
        supervisor->master = fds[0];
        supervisor->slave = fds[1];
        start_relays(supervisor, true);
    } else {
        host(__NR_close, supervisor->instance.channel);
        supervisor->instance.channel = -1;
        if (supervisor->failure.status == 0)
            send_event(supervisor, &event);
    }
}

static void handle_control(struct supervisor *supervisor) {
    struct kw_message message;
    u32 count;
    long size = channel_receive(supervisor->control, &message, sizeof message, NULL, 0, &count);
    if (size == 0 || (size < 0 && size != -EBADMSG)) {
        if (supervisor->lifeline >= 0)
            end_at_once(supervisor);
        host(__NR_close, supervisor->control);
        supervisor->control = -1;
        return;
    }
    if (size != sizeof message)
        return;
    switch (message.type) {
    case KW_CONTROL_SIGNAL:
        if (message.value >= 1 && message.value <= 64)
            send_signal(supervisor, message.value);
        break;
    case KW_CONTROL_RESIZE:
        if (supervisor->master >= 0)
            terminal_resize(supervisor->master, message.value >> 16, message.value & 0xffff);
        break;
    case KW_CONTROL_STOP:
        send_signal(supervisor, SIGTERM);
        supervisor->kill_at = now() + message.value * 1000000ul;
        break;
    default:
        break;
    }
}

/* The lifeline carries nothing; its end is what counts. */
static void handle_lifeline(struct supervisor *supervisor) {
    char byte;
    if (host(__NR_read, supervisor->lifeline, &byte, 1) <= 0)
        end_at_once(supervisor);
}

static void report_loss(struct supervisor *supervisor, struct relay *relay) {
    struct kw_message event = {.type = KW_EVENT_NOTICE};
    if (!relay->lost)
        return;
    format(event.text, sizeof event.text, "the program's output was lost: %s",
           error_text(relay->lost));
    send_event(supervisor, &event);
    relay->lost = 0;
}

/* Waits until something happens, or until a stop must turn into a kill. */
static void wait_and_handle(struct supervisor *supervisor) {
    enum { CHANNEL, CONTROL, LIFELINE, RELAYS, EXIT = RELAYS + 3, COUNT };
    struct pollfd polls[COUNT] = {
        [CHANNEL] = {.fd = supervisor->instance.channel, .events = POLLIN},
        [CONTROL] = {.fd = supervisor->control, .events = POLLIN},
        [LIFELINE] = {.fd = supervisor->lifeline, .events = POLLIN},
        [EXIT] = {.fd = supervisor->exited ? -1 : supervisor->instance.pidfd, .events = POLLIN},
    };
    for (u32 i = 0; i < 3; i++)
        polls[RELAYS + i] = relay_wants(&supervisor->relays[i]);
    struct __kernel_timespec left = {0}, *timeout = NULL;
    if (supervisor->kill_at && !supervisor->exited) {
        u64 time = now();
        if (time >= supervisor->kill_at) {
            send_signal(supervisor, SIGKILL);
            supervisor->kill_at = 0;
        } else {
            left.tv_sec = (long long)((supervisor->kill_at - time) / 1000000000ul);
            left.tv_nsec = (long long)((supervisor->kill_at - time) % 1000000000ul);
            timeout = &left;
        }
    }
    if (host(__NR_ppoll, polls, COUNT, timeout, 0, 0) <= 0)
        return;
    if (polls[CHANNEL].revents)
        handle_channel(supervisor);
    if (polls[LIFELINE].revents)
        handle_lifeline(supervisor);
    if (polls[CONTROL].revents)
        handle_control(supervisor);
    for (u32 i = 0; i < 3; i++)
        if (polls[RELAYS + i].revents) {
            relay_move(&supervisor->relays[i]);
            report_loss(supervisor, &supervisor->relays[i]);
        }
    if (polls[EXIT].revents)
        reap(supervisor);
}

static bool is_drained(struct supervisor *supervisor) {
    return relay_is_drained(&supervisor->relays[1]) && relay_is_drained(&supervisor->relays[2]);
}

static void run(struct supervisor *supervisor) {
    while (!supervisor->exited)
        wait_and_handle(supervisor);
    while (supervisor->instance.channel >= 0)
        handle_channel(supervisor);
    /* The program's end is reported after its last output. */
    supervisor->relays[0].ended = true;
    if (supervisor->slave >= 0)
        host(__NR_close, supervisor->slave);
    while (!is_drained(supervisor))
        wait_and_handle(supervisor);
}

_Noreturn void supervise_main(int record_fd) {
    struct supervisor supervisor = {.control = -1,
                                    .lifeline = -1,
                                    .stats = -1,
                                    .master = -1,
                                    .slave = -1,
                                    .instance = {.pid = -1, .pidfd = -1, .channel = -1}};
    struct kw_message event;
    for (u32 i = 0; i < 3; i++)
        supervisor.relays[i].ended = true;
    host(__NR_setsid);
    host(__NR_prctl, PR_SET_NAME, "kw-supervise", 0, 0, 0);
    reset_signals();
    fill_stdio();
    if (!start(&supervisor, record_fd)) {
        send_failure(&supervisor);
        send_signal(&supervisor, SIGKILL);
        reap(&supervisor);
        for (;;)
            host(__NR_exit_group, supervisor.failure.status);
    }
    run(&supervisor);
    if (supervisor.failure.status) {
        send_failure(&supervisor);
    } else {
        exit_describe(supervisor.status, supervisor.stats, &event);
        send_event(&supervisor, &event);
    }
    for (;;)
        host(__NR_exit_group, 0);
}
