#include "jail/control.h"

#include <asm/signal.h>

#include "base/text.h"
#include "jail/kernel.h"
#include "jail/network.h"
#include "jail/supervisor.h"
#include "jail/terminal.h"

#define FDS_MAX 5 /* of one message */
#define MILLISECOND_NS 1000000ul

void control_prepare(struct supervisor *supervisor) {
    for (u32 i = 0; i < KW_CONNECTIONS_MAX; i++)
        supervisor->connections[i] = (struct connection){.fd = -1};
}

void control_add(struct supervisor *supervisor, int fd) {
    for (u32 i = 0; i < KW_CONNECTIONS_MAX; i++)
        if (supervisor->connections[i].fd < 0) {
            supervisor->connections[i] =
                (struct connection){.fd = fd, .greeted = !supervisor->hosted};
            return;
        }
    host(__NR_close, fd);
}

static bool is_full(const struct supervisor *supervisor) {
    for (u32 i = 0; i < KW_CONNECTIONS_MAX; i++)
        if (supervisor->connections[i].fd < 0)
            return false;
    return true;
}

void control_accept(struct supervisor *supervisor) {
    struct pollfd poll = {.fd = supervisor->listen, .events = POLLIN};
    while (poll.fd >= 0 && host(__NR_poll, &poll, 1, 0) > 0) {
        long fd = host(__NR_accept4, poll.fd, 0, 0, SOCK_CLOEXEC);
        if (fd < 0)
            return;
        if (is_full(supervisor)) /* some may have asked to become others (KW_CONTROL_EXEC) */
            control_hear(supervisor);
        control_add(supervisor, (int)fd);
    }
}

/* A foreground instance does not outlive its command. */
static void hang_up(struct supervisor *supervisor, struct connection *connection) {
    if (supervisor->lifeline >= 0)
        supervisor_end_at_once(supervisor);
    host(__NR_close, connection->fd);
    connection->fd = -1;
}

bool control_send(struct supervisor *supervisor, struct connection *connection,
                  struct kw_message *event, const int *fds, u32 count) {
    if (!event->time_ns)
        event->time_ns = clock_monotonic();
    make_printable(event->text, sizeof event->text);
    if (channel_send_now(connection->fd, event, sizeof *event, fds, count) >= 0)
        return true;
    hang_up(supervisor, connection);
    return false;
}

/* The kernel says so while three quarters of the room are free; who has gone can be told, too. */
static bool has_room(const struct connection *connection) {
    struct pollfd poll = {.fd = connection->fd, .events = POLLOUT};
    return host(__NR_poll, &poll, 1, 0) > 0;
}

/* Everybody; with `missed` those who have room alone, and it is set where somebody has none. */
static bool tell(struct supervisor *supervisor, struct kw_message *event, bool *missed) {
    bool told = false;
    for (u32 i = 0; i < KW_CONNECTIONS_MAX; i++) {
        struct connection *connection = &supervisor->connections[i];
        if (connection->fd < 0)
            continue;
        if (!missed || has_room(connection))
            told |= control_send(supervisor, connection, event, NULL, 0);
        else
            *missed = true;
    }
    return told;
}

bool control_tell(struct supervisor *supervisor, struct kw_message *event) {
    return tell(supervisor, event, NULL);
}

bool control_tell_often(struct supervisor *supervisor, struct kw_message *event, bool *missed) {
    *missed = false;
    return tell(supervisor, event, missed);
}

static void answer_hello(struct supervisor *supervisor, struct connection *connection) {
    struct kw_message event = {.type = KW_EVENT_HELLO,
                               .value = supervisor->running,
                               .extra = (u32)supervisor->instance.pid,
                               .time_ns = supervisor->launch.record->started_ns};
    struct kw_message notice;
    if (control_send(supervisor, connection, &event, &supervisor->stats, 1) &&
        instance_notice(&supervisor->instance, &notice))
        control_send(supervisor, connection, &notice, NULL, 0);
    questions_tell_again(supervisor, connection);
    connection->greeted = true;
    companion_tell_again(supervisor, connection);
}

static void stop(struct supervisor *supervisor, u32 signal, u32 milliseconds) {
    if (signal > 64)
        return;
    supervisor_signal(supervisor, signal ? signal : SIGTERM);
    supervisor->kill_at = clock_monotonic() + milliseconds * MILLISECOND_NS;
}

/* For health checks: the daemon connects it to the instance's own loopback. */
static void hand_socket(struct supervisor *supervisor, struct connection *connection, u32 family,
                        u32 type) {
    struct kw_message event = {.type = KW_EVENT_SOCKET};
    bool there = supervisor->hosted && supervisor->running && !supervisor->exited;
    long fd = there ? joiner_socket(supervisor->hosted->joined.joiner, family, type) : -ESRCH;
    int number = (int)fd;
    event.value = fd < 0 ? (u32)-fd : 0;
    control_send(supervisor, connection, &event, &number, fd >= 0);
    if (fd >= 0)
        host(__NR_close, number);
}

/* For copying files: with the pidfd the daemon takes the rights of the instance's own root. */
static void hand_root(struct supervisor *supervisor, struct connection *connection) {
    struct kw_message event = {.type = KW_EVENT_ROOT};
    bool there = supervisor->hosted && supervisor->running && !supervisor->exited;
    int fds[] = {there ? supervisor->hosted->join[JOIN_ROOT] : -1, supervisor->instance.pidfd};
    event.value = there ? 0 : ESRCH;
    control_send(supervisor, connection, &event, fds, there ? 2 : 0);
}

static void replace_policy(struct supervisor *supervisor, struct connection *connection,
                           const int *fds, u32 count) {
    struct kw_message event = {.type = KW_EVENT_POLICY};
    const char *why = "the descriptor is missing";
    long result = count == 1 ? policies_replace(&supervisor->policies, fds[0], &why) : -EBADF;
    event.value = (u32)-result;
    if (result)
        format(event.text, sizeof event.text, "%s", why);
    control_send(supervisor, connection, &event, NULL, 0);
}

/* Takes the descriptors over if it can; returns what was wrong, or NULL. */
static const char *attach(struct supervisor *supervisor, u32 flags, int *fds, u32 count) {
    bool input = flags & KW_ATTACH_STDIN, output = flags & KW_ATTACH_OUTPUT;
    u32 wanted = (input ? 1 : 0) + (output ? 2 : 0);
    if (!supervisor->hosted)
        return "the instance runs in the foreground";
    if (wanted == 0 || wanted != count)
        return "the descriptors to attach are not those announced";
    struct streams *streams = &supervisor->hosted->streams;
    if (input && (!launch_is(&supervisor->launch, KW_LAUNCH_STDIN) || streams->input_ended))
        return "the program's standard input is closed";
    if (!streams_attach(streams, flags, fds, false))
        return "there are too many attachments to this instance";
    for (u32 i = 0; i < count; i++)
        fds[i] = -1;
    return NULL;
}

/* Descriptors that a message is to keep are marked as taken: -1. */
static void obey(struct supervisor *supervisor, struct connection *connection,
                 const struct kw_message *message, int *fds, u32 count) {
    struct kw_message notice = {.type = KW_EVENT_NOTICE};
    const char *refusal = NULL;
    switch (message->type) {
    case KW_CONTROL_SIGNAL:
        if (message->value >= 1 && message->value <= 64)
            supervisor_signal(supervisor, message->value);
        break;
    case KW_CONTROL_RESIZE:
        if (supervisor->master >= 0)
            terminal_resize(supervisor->master, message->value >> 16, message->value & 0xffff);
        break;
    case KW_CONTROL_STOP:
        stop(supervisor, message->extra, message->value);
        break;
    case KW_CONTROL_HELLO:
        answer_hello(supervisor, connection);
        break;
    case KW_CONTROL_WATCH_LOG:
        connection->watches_log = true;
        break;
    case KW_CONTROL_SOCKET:
        hand_socket(supervisor, connection, message->value, message->extra);
        break;
    case KW_CONTROL_ROOT:
        hand_root(supervisor, connection);
        break;
    case KW_CONTROL_POLICY:
        replace_policy(supervisor, connection, fds, count);
        break;
    case KW_CONTROL_ANSWER:
        questions_answer(supervisor, message->value, message->extra);
        break;
    case KW_CONTROL_NETWORK:
        companion_obey(supervisor, message, fds, count);
        break;
    case KW_CONTROL_ATTACH:
        refusal = attach(supervisor, message->value, fds, count);
        break;
    case KW_CONTROL_EXEC:
        joined_begin(supervisor, connection->fd, fds, count);
        connection->fd = -1;
        break;
    default:
        break;
    }
    if (refusal) {
        format(notice.text, sizeof notice.text, "not attached: %s", refusal);
        control_send(supervisor, connection, &notice, NULL, 0);
    }
}

void control_receive(struct supervisor *supervisor, struct connection *connection) {
    struct kw_message message;
    int fds[FDS_MAX];
    u32 count;
    long size = channel_receive(connection->fd, &message, sizeof message, fds, FDS_MAX, &count);
    if (size == sizeof message)
        obey(supervisor, connection, &message, fds, count);
    else if (size == 0 || (size < 0 && size != -EBADMSG && size != -EAGAIN))
        hang_up(supervisor, connection);
    for (u32 i = 0; i < count; i++)
        if (fds[i] >= 0)
            host(__NR_close, fds[i]);
}

void control_hear(struct supervisor *supervisor) {
    for (u32 i = 0; i < KW_CONNECTIONS_MAX; i++) {
        struct pollfd poll = {.fd = supervisor->connections[i].fd, .events = POLLIN};
        if (poll.fd >= 0 && host(__NR_poll, &poll, 1, 0) > 0)
            control_receive(supervisor, &supervisor->connections[i]);
    }
}

void control_tell_logged(struct supervisor *supervisor) {
    if (!supervisor->hosted)
        return;
    u64 written = supervisor->hosted->log.file.written;
    for (u32 i = 0; i < KW_CONNECTIONS_MAX; i++) {
        struct connection *connection = &supervisor->connections[i];
        struct kw_message event = {.type = KW_EVENT_LOGGED};
        if (connection->fd < 0 || !connection->watches_log || connection->logged == written)
            continue;
        connection->watches_log = false;
        connection->logged = written;
        control_send(supervisor, connection, &event, NULL, 0);
    }
}
