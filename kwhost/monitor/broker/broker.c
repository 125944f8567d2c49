#include "broker/broker.h"

#include <asm/poll.h>
#include <asm/signal.h>
#include <linux/poll.h>
#include <linux/prctl.h>
#include <linux/sched.h>

#include "broker/serve.h"
#include "jail/kernel.h"
#include "jail/supervisor.h"

bool broker_start(struct supervisor *supervisor) {
    struct broker *broker = &supervisor->broker;
    int ends[2];
    long result = channel_pair(ends);
    if (result < 0)
        return fail(&supervisor->failure, STATUS_OWN, result, "making a socket pair");
    long pid = host(__NR_clone, CLONE_PIDFD | SIGCHLD, 0, &broker->pidfd, 0, 0);
    if (pid == 0)
        broker_serve(supervisor, ends[1]);
    host(__NR_close, ends[1]);
    broker->pid = (int)pid;
    broker->channel = ends[0];
    return pid > 0 || fail(&supervisor->failure, STATUS_OWN, pid, "making the instance's broker");
}

static void hand_over(const struct broker *broker, enum broker_message type, const int *fds,
                      u32 count) {
    u32 message = type;
    channel_send(broker->channel, &message, sizeof message, fds, count);
}

void broker_join(const struct broker *broker, const int *namespaces) {
    hand_over(broker, BROKER_NAMESPACES, namespaces, NAMESPACE_FDS);
    for (u32 i = 0; i < NAMESPACE_FDS; i++)
        host(__NR_close, namespaces[i]);
}

void broker_enter(const struct broker *broker, int root) {
    hand_over(broker, BROKER_ROOT, &root, 1);
}

void broker_listen(const struct broker *broker, int listener) {
    hand_over(broker, BROKER_LISTENER, &listener, 1);
    host(__NR_close, listener);
}

/* Its last words, if it had any. */
static bool explain(const struct broker *broker, struct failure *failure) {
    struct pollfd words = {.fd = broker->channel, .events = POLLIN};
    struct failure said;
    u32 count;
    if (host(__NR_poll, &words, 1, 0) <= 0 || !(words.revents & POLLIN) ||
        channel_receive(broker->channel, &said, sizeof said, NULL, 0, &count) != sizeof said)
        return false;
    *failure = said;
    return true;
}

void broker_ended(struct supervisor *supervisor) {
    host(__NR_close, supervisor->broker.pidfd);
    supervisor->broker.pidfd = -1;
    if (supervisor->exited)
        return;
    /* A start that failed took the broker with it, and has been told. */
    if (!supervisor->failure.status && !explain(&supervisor->broker, &supervisor->failure))
        fail(&supervisor->failure, STATUS_OWN, 0,
             "the instance's broker was killed, and the instance with it");
    supervisor_signal(supervisor, SIGKILL);
}

void broker_end(struct broker *broker) {
    if (broker->pidfd < 0)
        return;
    host(__NR_pidfd_send_signal, broker->pidfd, SIGKILL, 0, 0);
    while (host(__NR_wait4, broker->pid, 0, 0, 0) == -EINTR)
        ;
    host(__NR_close, broker->pidfd);
    broker->pidfd = -1;
}
