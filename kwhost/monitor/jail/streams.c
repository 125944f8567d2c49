#include "jail/streams.h"

#include "base/text.h"
#include "jail/kernel.h"

#define PATIENCE SECOND_NS
#define POLL_GONE (POLLERR | POLLHUP | POLLNVAL)

void streams_prepare(struct streams *streams, struct log *log) {
    streams->log = log;
    streams->input = -1;
    streams->notice[0] = 0;
    for (u32 i = 0; i < LOG_STREAMS; i++)
        streams->outputs[i].from = -1;
    for (u32 i = 0; i < ATTACHMENTS_MAX; i++)
        attachment_clear(&streams->attachments[i]);
}

static void begin_inputs(struct streams *streams) {
    for (u32 i = 0; i < ATTACHMENTS_MAX; i++) {
        struct attachment *attachment = &streams->attachments[i];
        bool waits = attachment->input >= 0 && !attachment->relay.data;
        if (waits && !attachment_begin_input(attachment, streams->input, streams->is_terminal))
            attachment_drop_input(attachment);
    }
}

void streams_start(struct streams *streams, int in, int out, int err, bool is_terminal) {
    int from[LOG_STREAMS] = {out, err};
    streams->input = in;
    streams->is_terminal = is_terminal;
    for (u32 i = 0; i < LOG_STREAMS; i++) {
        streams->outputs[i].from = from[i];
        if (from[i] >= 0)
            host(__NR_fcntl, from[i], F_SETFL, host(__NR_fcntl, from[i], F_GETFL, 0) | O_NONBLOCK);
    }
    if (in >= 0)
        begin_inputs(streams);
}

bool streams_attach(struct streams *streams, u32 flags, const int *fds, bool waited_for) {
    const u32 held[LOG_STREAMS] = {streams->outputs[0].held, streams->outputs[1].held};
    for (u32 i = 0; i < ATTACHMENTS_MAX; i++) {
        struct attachment *attachment = &streams->attachments[i];
        if (!attachment_is_free(attachment))
            continue;
        attachment_connect(attachment, flags, fds, held);
        attachment->waited_for = waited_for;
        if (streams->input >= 0)
            begin_inputs(streams);
        return true;
    }
    return false;
}

static bool waits_for(const struct attachment *attachment, u32 which, const struct stream *stream) {
    return attachment->outputs[which] >= 0 && attachment->taken[which] < stream->held;
}

/* True while some attachment has not taken what is held; `hurried`: one that has only so long. */
static bool is_held(const struct streams *streams, u32 which, bool hurried) {
    for (u32 i = 0; i < ATTACHMENTS_MAX; i++) {
        const struct attachment *attachment = &streams->attachments[i];
        if (waits_for(attachment, which, &streams->outputs[which]) &&
            !(hurried && attachment->waited_for))
            return true;
    }
    return false;
}

void streams_wants(struct streams *streams, struct pollfd polls[STREAMS_POLLS]) {
    for (u32 which = 0; which < LOG_STREAMS; which++) {
        int from = is_held(streams, which, false) ? -1 : streams->outputs[which].from;
        *polls++ = (struct pollfd){.fd = from, .events = POLLIN};
    }
    for (u32 i = 0; i < ATTACHMENTS_MAX; i++) {
        struct attachment *attachment = &streams->attachments[i];
        *polls++ = relay_wants(&attachment->relay);
        for (u32 which = 0; which < LOG_STREAMS; which++) {
            bool waits = waits_for(attachment, which, &streams->outputs[which]);
            *polls++ =
                (struct pollfd){.fd = attachment->outputs[which], .events = waits ? POLLOUT : 0};
        }
    }
}

/* A reader that left wants nothing; anything else loses output. */
static void hand_on(struct streams *streams, struct attachment *attachment, u32 which) {
    const struct stream *stream = &streams->outputs[which];
    long error = attachment_take(attachment, which, stream->data, stream->held);
    if (error < 0 && error != -EPIPE && error != -ECONNRESET)
        format(streams->notice, sizeof streams->notice, "the program's output was lost: %s",
               error_text(error));
}

static void read_output(struct streams *streams, u32 which) {
    struct stream *stream = &streams->outputs[which];
    long result = host(__NR_read, stream->from, stream->data, RELAY_SIZE);
    if (result == -EAGAIN || result == -EINTR)
        return;
    if (result <= 0) {
        if (!streams->is_terminal)
            host(__NR_close, stream->from);
        stream->from = -1;
        return;
    }
    stream->held = (u32)result;
    stream->deadline = clock_monotonic() + PATIENCE;
    log_write(streams->log, which, stream->data, stream->held);
    for (u32 i = 0; i < ATTACHMENTS_MAX; i++) {
        streams->attachments[i].taken[which] = 0;
        hand_on(streams, &streams->attachments[i], which);
    }
}

/* The end of one attachment's input is the program's where it asked for that. A terminal's end was
 * typed by the relay. */
static void move_input(struct streams *streams, struct attachment *attachment) {
    relay_move(&attachment->relay);
    if (!attachment->relay.ended)
        return;
    bool ends = attachment->ends_input && !streams->is_terminal;
    attachment_drop_input(attachment);
    if (ends)
        streams_end_input(streams);
}

void streams_move(struct streams *streams, const struct pollfd polls[STREAMS_POLLS]) {
    const struct pollfd *poll = polls + LOG_STREAMS;
    for (u32 i = 0; i < ATTACHMENTS_MAX; i++) {
        struct attachment *attachment = &streams->attachments[i];
        if (poll++->revents)
            move_input(streams, attachment);
        for (u32 which = 0; which < LOG_STREAMS; which++, poll++) {
            if (poll->revents & POLL_GONE)
                attachment_drop_output(attachment, which);
            else if (poll->revents)
                hand_on(streams, attachment, which);
        }
    }
    for (u32 which = 0; which < LOG_STREAMS; which++)
        if (polls[which].revents)
            read_output(streams, which);
}

u64 streams_deadline(const struct streams *streams) {
    u64 deadline = 0;
    for (u32 which = 0; which < LOG_STREAMS; which++)
        if (is_held(streams, which, true))
            deadline = earliest(deadline, streams->outputs[which].deadline);
    return deadline;
}

void streams_expire(struct streams *streams, u64 now) {
    for (u32 i = 0; i < ATTACHMENTS_MAX; i++) {
        struct attachment *attachment = &streams->attachments[i];
        for (u32 which = 0; which < LOG_STREAMS; which++) {
            const struct stream *stream = &streams->outputs[which];
            if (attachment->waited_for || now < stream->deadline ||
                !waits_for(attachment, which, stream))
                continue;
            attachment_drop_output(attachment, which);
            format(streams->notice, sizeof streams->notice,
                   "an attachment was cut off: it took no output for a second");
        }
    }
}

void streams_hurry(struct streams *streams) {
    for (u32 i = 0; i < ATTACHMENTS_MAX; i++)
        streams->attachments[i].waited_for = false;
}

void streams_end_input(struct streams *streams) {
    for (u32 i = 0; i < ATTACHMENTS_MAX; i++)
        attachment_drop_input(&streams->attachments[i]);
    if (streams->input >= 0 && !streams->is_terminal)
        host(__NR_close, streams->input);
    streams->input = -1;
    streams->input_ended = true;
}

bool streams_are_drained(const struct streams *streams) {
    for (u32 which = 0; which < LOG_STREAMS; which++) {
        struct pollfd poll = {.fd = streams->outputs[which].from, .events = POLLIN};
        if (is_held(streams, which, false) || (poll.fd >= 0 && host(__NR_poll, &poll, 1, 0) > 0))
            return false;
    }
    return true;
}
