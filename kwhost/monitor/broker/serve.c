#include "broker/serve.h"

#include <asm/ioctl.h>
#include <asm/poll.h>
#include <asm/signal.h>
#include <linux/poll.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>

#include "jail/descriptors.h"
#include "jail/identity.h"
#include "jail/idmap.h"
#include "jail/kernel.h"
#include "jail/supervisor.h"
#include "policy/table.h"

#define LISTENERS_MAX 64
#define NAMESPACES                                                                                 \
    (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | CLONE_NEWNET)

struct listener {
    int fd;     /* -1: free */
    bool began; /* the program was executed: until then it is its own way there that asks */
};

struct serving {
    const struct supervisor *supervisor;
    int channel, first; /* to supervise; pidfd of the instance's first process */
    struct listener listeners[LISTENERS_MAX];
};

/* Nobody is left to whom the instance would matter. */
static _Noreturn void end_all(const struct serving *serving) {
    host(__NR_pidfd_send_signal, serving->first, SIGKILL, 0, 0);
    for (;;)
        host(__NR_exit_group, 0);
}

static bool join(const struct serving *serving, int root) {
    struct failure failure;
    long result = host(__NR_setns, serving->first, NAMESPACES);
    if (result >= 0)
        result = host(__NR_fchdir, root);
    if (result >= 0)
        result = host(__NR_chroot, ".");
    return result >= 0 &&
           identity_become_root(idmap_allows_groups(&serving->supervisor->launch), &failure);
}

static void add_listener(struct serving *serving, int fd) {
    for (u32 i = 0; i < LISTENERS_MAX; i++)
        if (serving->listeners[i].fd < 0) {
            serving->listeners[i] = (struct listener){.fd = fd};
            return;
        }
    host(__NR_close, fd); /* what asks there fails */
}

static void hear_supervise(struct serving *serving) {
    u32 message, count;
    int fd = -1;
    long size = channel_receive(serving->channel, &message, sizeof message, &fd, 1, &count);
    if (size != sizeof message || count != 1)
        end_all(serving);
    if (message == BROKER_LISTENER) {
        add_listener(serving, fd);
        return;
    }
    if (!join(serving, fd))
        end_all(serving);
    host(__NR_close, fd);
}

static void answer(int listener, struct seccomp_notif_resp *response) {
    host(__NR_ioctl, listener, SECCOMP_IOCTL_NOTIF_SEND, response);
}

static bool begins(struct listener *listener, const struct seccomp_notif *asked) {
    bool first =
        !listener->began && (asked->data.nr == __NR_execve || asked->data.nr == __NR_execveat);
    listener->began = listener->began || first;
    return first;
}

static void serve(struct serving *serving, struct listener *listener) {
    struct seccomp_notif asked = {.id = 0};
    struct kw_policy_verdict verdict = {.action = KW_POLICY_ALLOW};
    if (host(__NR_ioctl, listener->fd, SECCOMP_IOCTL_NOTIF_RECV, &asked) < 0)
        return;
    struct seccomp_notif_resp response = {.id = asked.id};
    const struct kw_policy_table *table = serving->supervisor->policies.table;
    if (table && !begins(listener, &asked)) {
        const u8 *slots = (const u8 *)table + KW_POLICY_SLOTS;
        u64 arguments[6];
        for (u32 i = 0; i < 6; i++)
            arguments[i] = asked.data.args[i];
        verdict = policy_call(
            (const struct kw_policy *)(slots + (table->generation & 1) * KW_POLICY_SLOT_SIZE),
            (u64)asked.data.nr, arguments);
    }
    if (verdict_stops(verdict))
        response.error = -(verdict.action == KW_POLICY_ERRNO ? verdict.error : EPERM);
    else
        response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    answer(listener->fd, &response);
}

static _Noreturn void run(struct serving *serving) {
    for (;;) {
        struct pollfd polls[1 + LISTENERS_MAX];
        polls[0] = (struct pollfd){.fd = serving->channel, .events = POLLIN};
        for (u32 i = 0; i < LISTENERS_MAX; i++)
            polls[1 + i] = (struct pollfd){.fd = serving->listeners[i].fd, .events = POLLIN};
        if (host(__NR_ppoll, polls, 1 + LISTENERS_MAX, NULL, 0, 0) < 0)
            continue;
        if (polls[0].revents)
            hear_supervise(serving);
        for (u32 i = 0; i < LISTENERS_MAX; i++) {
            if (polls[1 + i].revents & POLLIN)
                serve(serving, &serving->listeners[i]);
            else if (polls[1 + i].revents) { /* the last of its programs has ended */
                host(__NR_close, serving->listeners[i].fd);
                serving->listeners[i].fd = -1;
            }
        }
    }
}

_Noreturn void broker_serve(const struct supervisor *supervisor, int channel) {
    struct serving serving = {
        .supervisor = supervisor, .channel = channel, .first = supervisor->instance.pidfd};
    int kept[] = {channel, serving.first, supervisor->stats, supervisor->policies.table_fd,
                  supervisor->policies.bell};
    for (u32 i = 0; i < LISTENERS_MAX; i++)
        serving.listeners[i].fd = -1;
    host(__NR_prctl, PR_SET_NAME, "kw-broker", 0, 0, 0);
    descriptors_keep(kept, array_size(kept));
    run(&serving);
}
