#include "jail/companion.h"

#include <asm/signal.h>

#include "base/text.h"
#include "jail/kernel.h"
#include "jail/supervisor.h"

void companion_tell_again(struct supervisor *supervisor, struct connection *connection) {
    const struct companion *companion = &supervisor->companion;
    struct kw_message event = {.type = KW_EVENT_NETWORK, .value = companion->ready};
    if (companion->fds[NETWORK_NET] >= 0 && companion->pidfd < 0 && connection->fd >= 0 &&
        connection->greeted)
        control_send(supervisor, connection, &event, companion->fds, NETWORK_FDS);
}

static void tell(struct supervisor *supervisor) {
    for (u32 i = 0; i < KW_CONNECTIONS_MAX; i++)
        companion_tell_again(supervisor, &supervisor->connections[i]);
}

void companion_want(struct supervisor *supervisor, const int fds[NETWORK_FDS]) {
    memcpy(supervisor->companion.fds, fds, sizeof supervisor->companion.fds);
    tell(supervisor);
}

/* The child waits for this only once. */
static void let_go(struct supervisor *supervisor) {
    struct channel_network message = {.ready = 1};
    if (!supervisor->companion.ready && supervisor->instance.channel >= 0)
        channel_send(supervisor->instance.channel, &message, sizeof message, NULL, 0);
    supervisor->companion.ready = true;
}

static void give_up(struct supervisor *supervisor, const char *text) {
    if (supervisor->companion.ready)
        return;
    fail(&supervisor->failure, STATUS_OWN, 0, "%.*s", KW_ERROR_MAX - 1, text);
    supervisor_signal(supervisor, SIGKILL);
}

void companion_obey(struct supervisor *supervisor, const struct kw_message *message, int *fds,
                    u32 count) {
    struct companion *companion = &supervisor->companion;
    if (companion->fds[NETWORK_NET] < 0)
        return;
    if (message->value == KW_NETWORK_DRIVER && count == 2) {
        companion_end(companion);
        companion->pidfd = fds[0];
        companion->lifeline = fds[1];
        fds[0] = fds[1] = -1;
    } else if (message->value == KW_NETWORK_READY) {
        let_go(supervisor);
    } else if (message->value == KW_NETWORK_FAILED) {
        give_up(supervisor, message->text);
    }
}

static void let_go_of(struct companion *companion) {
    host(__NR_close, companion->pidfd);
    host(__NR_close, companion->lifeline);
    companion->pidfd = companion->lifeline = -1;
}

void companion_ended(struct supervisor *supervisor) {
    let_go_of(&supervisor->companion);
    /* Before, whoever started it sees for himself. */
    if (supervisor->companion.ready && !supervisor->exited)
        tell(supervisor);
}

void companion_end(struct companion *companion) {
    if (companion->pidfd < 0)
        return;
    host(__NR_pidfd_send_signal, companion->pidfd, SIGKILL, 0, 0);
    let_go_of(companion);
}
