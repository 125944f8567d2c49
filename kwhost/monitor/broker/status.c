#include "broker/status.h"

#include "base/text.h"
#include "jail/kernel.h"

/* A thread may be in 65,536 groups, whose ids come before what matters here. */
#define STATUS_SIZE (1u << 20)

const char *status_read(const struct broker_request *request) {
    static char text[STATUS_SIZE];
    char path[24];
    format(path, sizeof path, "%u/status", request->tid);
    long fd = host(__NR_openat, broker_procfs, path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return NULL;
    u64 length = 0;
    long got;
    while ((got = host(__NR_read, fd, text + length, sizeof text - 1 - length)) > 0)
        length += (u64)got;
    host(__NR_close, fd);
    text[length] = 0;
    /* Whoever had the id by then was the caller if that still waits. */
    return length && broker_is_waited_for(request) ? text : NULL;
}

/* A name in the text is the program's, and shown without line ends. */
const char *status_field(const char *status, const char *name) {
    u64 length = strlen(name);
    while (status) {
        if (!strncmp(status, name, length) && status[length] == ':') {
            status += length + 1;
            while (*status == ' ' || *status == '\t')
                status++;
            return status;
        }
        status = strchr(status, '\n');
        status = status ? status + 1 : NULL;
    }
    return "";
}

static u64 decimal(const char **at) {
    u64 number = 0;
    for (; **at >= '0' && **at <= '9'; ++*at)
        number = number * 10 + (u64)(**at - '0');
    return number;
}

u64 status_number(const char *status, const char *name) {
    const char *at = status_field(status, name);
    return decimal(&at);
}

u64 status_mask(const char *status, const char *name) {
    u64 mask = 0;
    for (const char *at = status_field(status, name);; at++) {
        if (*at >= '0' && *at <= '9')
            mask = mask << 4 | (u64)(*at - '0');
        else if (*at >= 'a' && *at <= 'f')
            mask = mask << 4 | (u64)(*at - 'a' + 10);
        else
            return mask;
    }
}

int status_inner_id(const char *status, const char *name) {
    const char *at = status_field(status, name);
    int outer = (int)decimal(&at);
    if (*at != '\t')
        return outer;
    at++;
    return (int)decimal(&at);
}

struct status_signals status_signals(const char *status) {
    u64 open = ~status_mask(status, "SigBlk");
    u64 own = status_mask(status, "SigPnd") & open, shared = status_mask(status, "ShdPnd") & open;
    bool alone = status_number(status, "Threads") == 1;
    return (struct status_signals){.any = own | shared, .sure = own | (alone ? shared : 0)};
}
