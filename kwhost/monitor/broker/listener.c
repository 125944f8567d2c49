#include "broker/listener.h"

#include <asm/ioctl.h>
#include <asm/signal.h>
#include <linux/seccomp.h>

#include "base/host.h"

bool listener_is_understood(void) {
    struct seccomp_notif_sizes sizes;
    return host(__NR_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) == 0 &&
           sizes.seccomp_notif == sizeof(struct seccomp_notif) &&
           sizes.seccomp_notif_resp == sizeof(struct seccomp_notif_resp) &&
           sizes.seccomp_data == sizeof(struct seccomp_data);
}

bool listener_receive(int listener, struct broker_request *request) {
    struct seccomp_notif asked = {.id = 0};
    if (host(__NR_ioctl, listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) < 0)
        return false;
    *request = (struct broker_request){
        .listener = listener, .tid = asked.pid, .id = asked.id, .nr = (u32)asked.data.nr};
    for (u32 i = 0; i < array_size(request->arg); i++)
        request->arg[i] = asked.data.args[i];
    return true;
}

static void send(const struct broker_request *request, s64 value, s32 error, u32 flags) {
    struct seccomp_notif_resp response = {
        .id = request->id, .val = value, .error = error, .flags = flags};
    host(__NR_ioctl, request->listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

void listener_continue(const struct broker_request *request) {
    send(request, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
}

void listener_refuse(const struct broker_request *request, long error) {
    send(request, 0, (s32)error, 0);
}

/* Not with the answer at once (SECCOMP_ADDFD_FLAG_SEND): the caller would go on while this process
 * still has the file open, and find it busy when it has closed and executes it, locked, or its pipe
 * not at its end. A caller that is killed in between takes its descriptors along. */
static long add_descriptor(const struct broker_request *request,
                           const struct broker_result *result) {
    struct seccomp_notif_addfd added = {
        .id = request->id, .srcfd = (u32)result->fd, .newfd_flags = result->fd_flags};
    u64 all = ~0ul, before;
    host(__NR_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
    long fd = host(__NR_ioctl, request->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &added);
    host(__NR_rt_sigprocmask, SIG_SETMASK, &before, 0, sizeof before);
    return fd;
}

void listener_answer(const struct broker_request *request, const struct broker_result *result) {
    if (result->fd < 0) {
        bool failed = host_failed(result->value);
        send(request, failed ? 0 : result->value, failed ? (s32)result->value : 0, 0);
        return;
    }
    long added = add_descriptor(request, result);
    host(__NR_close, result->fd);
    if (host_failed(added)) /* such as EMFILE */
        listener_refuse(request, added);
    else
        send(request, added, 0, 0);
}

bool broker_is_waited_for(const struct broker_request *request) {
    return host(__NR_ioctl, request->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &request->id) == 0;
}
