#include "broker/status.h"

#include "base/text.h"
#include "jail/kernel.h"

struct directory_entry { /* struct linux_dirent64 */
    u64 inode, next;
    u16 size;
    u8 type;
    char name[];
};

/* A thread may be in 65,536 groups, whose ids come before what matters here. */
#define STATUS_SIZE (1u << 20)

static const char *read_text(u32 tid) {
    static char text[STATUS_SIZE];
    char path[24];
    format(path, sizeof path, "%u/status", tid);
    long fd = host(__NR_openat, broker_procfs, path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return NULL;
    u64 length = 0;
    long got;
    while ((got = host(__NR_read, fd, text + length, sizeof text - 1 - length)) > 0)
        length += (u64)got;
    host(__NR_close, fd);
    text[length] = 0;
    return length ? text : NULL;
}

/* Whoever had the id by then was the caller if that still waits. */
const char *status_read(const struct broker_request *request) {
    const char *text = read_text(request->tid);
    return text && broker_is_waited_for(request) ? text : NULL;
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
    return alone ? (struct status_signals){.own = own | shared}
                 : (struct status_signals){.own = own, .shared = shared};
}

/* What is left of the signals without those that this other thread may be about to take. Nobody
 * sleeps whom the kernel has woken for one. */
static u64 without(u64 signals, u32 tid) {
    const char *status = read_text(tid);
    char state = status ? *status_field(status, "State") : 'X';
    bool is_another = state != 'S' && state != 'Z' && state != 'X';
    return is_another ? signals & status_mask(status, "SigBlk") : signals;
}

/* Goes through some of the threads. False: no signal is left. */
static bool look_through(const char *entries, long size, u32 caller, u64 *signals, bool *first) {
    for (long at = 0; at < size && *signals;) {
        const struct directory_entry *entry = (const struct directory_entry *)(entries + at);
        const char *name = entry->name;
        u32 tid = (u32)decimal(&name);
        if (tid == caller)
            *first = true;
        else if (tid) /* no "." */
            *signals = without(*signals, tid);
        at += entry->size;
    }
    return *signals;
}

bool status_is_certain(const struct broker_request *request, u64 signals, bool *first) {
    char entries[4096] __attribute__((aligned(8))), path[24];
    const char *status = status_read(request);
    format(path, sizeof path, "%lu/task", status ? status_number(status, "Tgid") : 0);
    long fd = host(__NR_openat, broker_procfs, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0), size;
    *first = false;
    if (fd < 0)
        return false;
    while ((size = host(__NR_getdents64, fd, entries, sizeof entries)) > 0 &&
           look_through(entries, size, request->tid, &signals, first))
        ;
    host(__NR_close, fd);
    status = status_read(request); /* they may have been others, of the same numbers */
    return status && signals & status_signals(status).shared;
}
