#include "broker/perform.h"

#include "base/host.h"
#include "calls/judged.h"
#include "jail/program_rules.h"

u32 broker_rules;
bool broker_is_bare;
const char *broker_scratch;

bool broker_performs(const struct broker_request *request) {
    return program_is_performed(broker_rules, request->nr, request->arg);
}

static long make(const struct caller *caller, struct broker_result *result) {
    switch (caller->request->nr) {
    case __NR_open:
    case __NR_openat:
    case __NR_openat2:
    case __NR_creat:
        result->fd = (int)perform_open(caller, &result->fd_flags);
        return result->fd;
    case __NR_memfd_create:
        result->fd = (int)perform_memfd(caller, &result->fd_flags);
        return result->fd;
    case __NR_connect:
    case __NR_bind:
    case __NR_listen:
        return perform_socket(caller);
    case __NR_sendto:
    case __NR_sendmsg:
    case __NR_sendmmsg:
        return perform_send(caller);
    case __NR_chroot: /* rules about paths would speak of other ones */
        return -EPERM;
    default:
        return change_is_judged(caller->request->nr) ? perform_change(caller) : -ENOSYS;
    }
}

void broker_perform(const struct broker_request *request, struct broker_result *result) {
    static struct caller caller;
    struct broker_request told = *request;
    caller.proc = caller.process = -1;
    caller.told = &told;
    *result = (struct broker_result){.fd = -1};
    long value = -(long)program_refuses(request->nr, request->arg);
    if (!value && broker_is_bare &&
        !program_is_performed(PROGRAM_RULES_OBJECTS, request->nr, request->arg))
        value = -EACCES; /* no policy that needs this is started */
    if (!value)
        value = caller_take(&caller, request);
    if (!value)
        value = make(&caller, result);
    result->value = value;
    if (value < 0)
        result->fd = -1;
    caller_leave(&caller);
}
