#include "jail/joined.h"

#include <asm/poll.h>
#include <asm/signal.h>
#include <linux/mman.h>
#include <linux/sched.h>

#include "base/text.h"
#include "jail/clock.h"
#include "jail/keeper.h"
#include "jail/kernel.h"
#include "jail/supervisor.h"
#include "jail/terminal.h"

#define EXITED_BY_SIGNAL 256
#define WAY_NS (60 * SECOND_NS)

enum { HELPER, PROCESS, CHANNEL, CONNECTION, EACH }; /* pollfds of each */
_Static_assert(JOINED_POLLS == EACH * JOINED_MAX, "so many pollfds are handed out");

static void close_fd(int *fd) {
    if (*fd >= 0)
        host(__NR_close, *fd);
    *fd = -1;
}

bool joined_prepare(struct joined_all *all, struct failure *failure) {
    long memory = host(__NR_mmap, 0, page_up(JOINED_MAX * sizeof(int)), PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (host_failed(memory))
        return fail(failure, STATUS_OWN, memory, "memory for further processes");
    all->born = (int *)memory;
    return true;
}

bool joined_any(const struct joined_all *all) {
    for (u32 i = 0; i < JOINED_MAX; i++)
        if (all->each[i].used)
            return true;
    return false;
}

static void send_signal(const struct joined *joined, u32 signal) {
    if (joined->has_keeper)
        signal = keeper_signal(signal);
    host(__NR_pidfd_send_signal, joined->process, signal, 0, 0);
}

/* Nobody wants the process any more. One that is not known yet will get no answer. */
static void give_up(struct joined *joined) {
    close_fd(&joined->connection);
    if (joined->process >= 0)
        send_signal(joined, SIGKILL);
}

/* A client that does not read is cut off. */
static void tell(struct joined *joined, struct kw_message *event, const int *fds, u32 count) {
    event->time_ns = clock_monotonic();
    make_printable(event->text, sizeof event->text);
    if (joined->connection >= 0 &&
        channel_send_now(joined->connection, event, sizeof *event, fds, count) < 0)
        give_up(joined);
}

/* All that can come has come: tells the end, and lets go. */
static void finish(struct joined *joined) {
    struct kw_message event = {.type = KW_EVENT_EXITED};
    u32 status = (u32)joined->status;
    if (joined->failure.status) {
        event.type = KW_EVENT_FAILED;
        event.value = joined->failure.status;
        memcpy(event.text, joined->failure.text, sizeof event.text);
    } else if (status_exited(status)) {
        event.value = status_code(status);
    } else {
        event.value = EXITED_BY_SIGNAL + status_signal(status);
    }
    tell(joined, &event, NULL, 0);
    close_fd(&joined->connection);
    close_fd(&joined->master);
    joined->used = false;
}

static void collect(int pid, int *pidfd, int *status) {
    while (host(__NR_wait4, pid, status, 0, 0) == -EINTR)
        ;
    close_fd(pidfd);
}

/* Its child, if it left one, is known now, and goes on if it still is wanted and came in time. */
static void handle_helper(struct joined *joined, const int *born) {
    int status;
    collect(joined->helper_pid, &joined->helper, &status);
    joined->pid = __atomic_load_n(born, __ATOMIC_ACQUIRE);
    if (!joined->pid)
        return;
    joined->process = (int)host(__NR_pidfd_open, joined->pid, 0);
    if (joined->process < 0) {
        fail(&joined->failure, STATUS_OWN, joined->process, "holding on to the process");
        host(__NR_kill, joined->pid, SIGKILL);
        collect(joined->pid, &joined->process, &joined->status);
    } else if (joined->connection < 0 || joined->failure.status) {
        send_signal(joined, SIGKILL);
    } else {
        joined->has_keeper = joined->gets_keeper;
        channel_send(joined->channel, "", 1, NULL, 0);
    }
}

/* The way has ended: without a failure the program runs. */
static void handle_arrival(struct joined *joined) {
    struct kw_message event = {
        .type = KW_EVENT_STARTED, .value = (u32)joined->pid, .extra = (u32)joined->pid};
    close_fd(&joined->channel);
    if (joined->failure.status)
        return;
    if (joined->pid)
        tell(joined, &event, &joined->master, joined->master >= 0 ? 1 : 0);
    else
        fail(&joined->failure, STATUS_OWN, 0, "it was killed on its way into the instance");
}

static void handle_channel(struct joined *joined, const struct broker *broker) {
    struct channel_report report;
    int fds[2];
    u32 count;
    long size = channel_receive(joined->channel, &report, sizeof report, fds, 2, &count);
    if (size == sizeof report && report.type == CHANNEL_FAILED) {
        joined->failure = report.failure;
    } else if (size == sizeof report && report.type == CHANNEL_TERMINAL && count == 2) {
        joined->master = fds[0];
        host(__NR_close, fds[1]);
    } else if (size == sizeof report && report.type == CHANNEL_LISTENER && count == 1) {
        broker_listen(broker, fds[0]);
    } else {
        handle_arrival(joined);
    }
}

static void handle_connection(struct joined *joined) {
    struct kw_message message;
    u32 count;
    long size = channel_receive(joined->connection, &message, sizeof message, NULL, 0, &count);
    if (size == 0 || (size < 0 && size != -EBADMSG && size != -EAGAIN)) {
        give_up(joined);
        return;
    }
    if (size != sizeof message)
        return;
    if (message.type == KW_CONTROL_SIGNAL && message.value >= 1 && message.value <= 64)
        send_signal(joined, message.value);
    else if (message.type == KW_CONTROL_RESIZE && joined->master >= 0)
        terminal_resize(joined->master, message.value >> 16, message.value & 0xffff);
}

static void expire(struct joined *joined) {
    fail(&joined->failure, STATUS_OWN, 0, "it was held up on its way into the instance");
    joined->arrives_by = ~0ul;
    if (joined->process >= 0)
        send_signal(joined, SIGKILL);
    if (joined->helper >= 0)
        host(__NR_pidfd_send_signal, joined->helper, SIGKILL, 0, 0);
}

u64 joined_expire(struct joined_all *all, u64 now) {
    u64 next = 0;
    for (u32 i = 0; i < JOINED_MAX; i++) {
        struct joined *joined = &all->each[i];
        if (!joined->used || joined->channel < 0)
            continue;
        if (now >= joined->arrives_by)
            expire(joined);
        next = earliest(next, joined->arrives_by);
    }
    return next;
}

void joined_wants(const struct joined_all *all, struct pollfd polls[JOINED_POLLS]) {
    for (u32 i = 0; i < JOINED_MAX; i++) {
        const struct joined *joined = &all->each[i];
        /* What comes from the way is for after the helper's end: by then the process is known. */
        const int fds[EACH] = {[HELPER] = joined->helper,
                               [PROCESS] = joined->process,
                               [CHANNEL] = joined->helper >= 0 ? -1 : joined->channel,
                               [CONNECTION] = joined->connection};
        for (u32 j = 0; j < EACH; j++)
            polls[EACH * i + j] =
                (struct pollfd){.fd = joined->used ? fds[j] : -1, .events = POLLIN};
    }
}

static void handle(struct joined *joined, const struct pollfd polls[EACH], const int *born,
                   const struct broker *broker) {
    if (polls[HELPER].revents)
        handle_helper(joined, born);
    if (polls[CHANNEL].revents)
        handle_channel(joined, broker);
    if (polls[PROCESS].revents)
        collect(joined->pid, &joined->process, &joined->status);
    if (polls[CONNECTION].revents && joined->connection >= 0)
        handle_connection(joined);
    if (joined->helper < 0 && joined->process < 0 && joined->channel < 0)
        finish(joined);
}

void joined_handle(struct joined_all *all, const struct pollfd polls[JOINED_POLLS],
                   const struct broker *broker) {
    for (u32 i = 0; i < JOINED_MAX; i++)
        if (all->each[i].used)
            handle(&all->each[i], polls + EACH * i, &all->born[i], broker);
}

/* Why there cannot be a further process; NULL: there can. */
static const char *refusal(const struct supervisor *supervisor) {
    if (!supervisor->hosted)
        return "the instance runs in the foreground of a command";
    if (supervisor->exited)
        return "the instance has ended";
    if (!supervisor->running)
        return "the instance is still starting";
    return NULL;
}

static bool begin(struct supervisor *supervisor, struct joined *joined, const int *fds, u32 count,
                  u32 place) {
    struct hosted *hosted = supervisor->hosted;
    struct joiner_way way;
    __atomic_store_n(&hosted->joined.born[place], 0, __ATOMIC_RELEASE);
    long result = joiner_join(hosted->joined.joiner, place, hosted->join_flags, hosted->join, fds,
                              count, &way);
    if (result == -EPIPE)
        return fail(&joined->failure, STATUS_OWN, 0,
                    "the instance's joiner was killed: nobody can join until it is started again");
    if (result < 0)
        return fail(&joined->failure, STATUS_OWN, result, "making a process");
    joined->helper_pid = way.helper_pid;
    joined->helper = way.helper;
    joined->channel = way.channel;
    return true;
}

void joined_begin(struct supervisor *supervisor, int connection, const int *fds, u32 count) {
    const struct joined fresh = {.used = true,
                                 .arrives_by = clock_monotonic() + WAY_NS,
                                 .gets_keeper = launch_is_bare(&supervisor->launch),
                                 .connection = connection,
                                 .channel = -1,
                                 .helper = -1,
                                 .process = -1,
                                 .master = -1};
    struct joined refused = fresh, *joined = &refused;
    const char *why = refusal(supervisor);
    u32 i = 0;
    while (!why && i < JOINED_MAX && supervisor->hosted->joined.each[i].used)
        i++;
    if (i == JOINED_MAX)
        why = "too many processes are joined to the instance already";
    if (!why) {
        joined = &supervisor->hosted->joined.each[i];
        *joined = fresh;
    }
    if (why)
        fail(&joined->failure, STATUS_OWN, 0, "%s", why);
    else if (begin(supervisor, joined, fds, count, i))
        return;
    close_fd(&joined->channel);
    finish(joined);
}
