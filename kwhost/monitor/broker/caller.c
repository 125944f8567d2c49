#include "broker/caller.h"

#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/securebits.h>
#include <linux/uio.h>

#include "base/host.h"
#include "base/text.h"

#define PIDFD_OF_THREAD O_EXCL /* PIDFD_THREAD, newer than some supported systems' headers */
#define STATUS_SIZE 16384
#define UNKNOWN 0xffffffffu

/* What this worker has put on: the ids of its last caller, and what is effective now. */
static struct {
    u32 uid[4], gid[4];
    u32 groups[CALLER_GROUPS_MAX], group_count;
    u64 permitted, effective;
} own = {.uid = {UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN}, .gid = {UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN}};

static long set_capabilities(u64 effective) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {
        {.effective = (u32)effective, .permitted = (u32)own.permitted},
        {.effective = (u32)(effective >> 32), .permitted = (u32)(own.permitted >> 32)}};
    if (effective == own.effective)
        return 0;
    long result = host(__NR_capset, &header, data);
    if (result == 0)
        own.effective = effective;
    return result;
}

/* All that the worker may have, for looking at the caller; gives what is to be set again. */
static u64 raise_capabilities(void) {
    u64 before = own.effective;
    set_capabilities(own.permitted);
    return before;
}

long caller_open_own(const char *name, u64 flags, bool directory) {
    u64 before = own.effective;
    set_capabilities(before | 1ul << CAP_SYS_PTRACE | (directory ? 1ul << CAP_DAC_OVERRIDE : 0));
    long fd = host(__NR_openat, AT_FDCWD, name, flags);
    set_capabilities(before);
    return fd;
}

long broker_prepare(void) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {0};
    long result = host(__NR_capget, &header, data);
    if (result < 0)
        return result;
    own.permitted = data[0].permitted | (u64)data[1].permitted << 32;
    own.effective = data[0].effective | (u64)data[1].effective << 32;
    /* An ordinary user's instance keeps the groups that it has, and may set none. */
    result = host(__NR_getgroups, CALLER_GROUPS_MAX, own.groups);
    if (result < 0)
        return result;
    own.group_count = (u32)result;
    /* Ids change without capabilities being lost or gained. Without namespaces they do not change.
     */
    if (own.permitted >> CAP_SETPCAP & 1)
        result =
            host(__NR_prctl, PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NO_SETUID_FIXUP, 0, 0, 0);
    return result < 0 ? result : host(__NR_fchdir, broker_procfs);
}

/* The numbers behind "\nNAME:\t". Returns how many there are, `most` at most are stored. */
static u32 read_numbers(const char *status, const char *name, u32 base, u64 *to, u32 most) {
    const char *at = strstr(status, name);
    u32 count = 0;
    if (!at)
        return 0;
    at += strlen(name);
    for (;;) {
        u64 value = 0;
        while (*at == ' ' || *at == '\t')
            at++;
        if (!*at || *at == '\n')
            return count;
        for (; *at && *at != ' ' && *at != '\t' && *at != '\n'; at++) {
            u32 digit = *at <= '9' ? (u32)(*at - '0') : (u32)(*at - 'a' + 10);
            value = value * base + digit;
        }
        if (count < most)
            to[count] = value;
        count++;
    }
}

static bool read_ids(const char *status, const char *name, u32 to[4]) {
    u64 values[4];
    if (read_numbers(status, name, 10, values, 4) != 4)
        return false;
    for (u32 i = 0; i < 4; i++)
        to[i] = (u32)values[i];
    return true;
}

/* The last of a list: the number in the innermost pid namespace. */
static u32 innermost(const char *status, const char *name) {
    u64 values[32];
    u32 count = read_numbers(status, name, 10, values, array_size(values));
    return count && count <= array_size(values) ? (u32)values[count - 1] : 0;
}

static bool read_status(struct caller *caller, const char *status) {
    static u64 groups[CALLER_GROUPS_MAX];
    u64 mask;
    caller->pid = innermost(status, "\nNStgid:");
    caller->tid = innermost(status, "\nNSpid:");
    caller->group_count = read_numbers(status, "\nGroups:", 10, groups, array_size(caller->groups));
    for (u32 i = 0; i < caller->group_count && i < array_size(groups); i++)
        caller->groups[i] = (u32)groups[i];
    if (read_numbers(status, "\nUmask:", 8, &mask, 1) != 1 ||
        read_numbers(status, "\nCapEff:", 16, &caller->capabilities, 1) != 1)
        return false;
    caller->umask = (u32)mask;
    return caller->pid && caller->tid && caller->group_count <= array_size(groups) &&
           read_ids(status, "\nUid:", caller->uid) && read_ids(status, "\nGid:", caller->gid);
}

static long read_file(int directory, const char *name, char *to, u64 size) {
    long fd = host(__NR_openat, directory, name, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return fd;
    u64 length = 0;
    long got = 1;
    while (got > 0 && length < size - 1) {
        got = host(__NR_read, fd, to + length, size - 1 - length);
        length += got > 0 ? (u64)got : 0;
    }
    to[length] = 0;
    host(__NR_close, fd);
    return got < 0 ? got : 0;
}

static long open_process(const struct caller *caller, const char *status) {
    long fd = host(__NR_pidfd_open, caller->request->tid, PIDFD_OF_THREAD);
    u64 leader;
    if (fd != -EINVAL)
        return fd;
    /* Threads with descriptors of their own are looked at as their process. */
    if (read_numbers(status, "\nTgid:", 10, &leader, 1) != 1)
        return -ESRCH;
    return host(__NR_pidfd_open, leader, 0);
}

static bool is_same(const u32 *one, const u32 *other, u32 count) {
    return memcmp(one, other, count * sizeof *one) == 0;
}

/* The calls that set an id for the file system tell the one before, and nothing of success. */
static long take_file_id(long nr, u32 id) {
    host(nr, id);
    return (u32)host(nr, UNKNOWN) == id ? 0 : -EPERM;
}

/* A change of ids sets by a sysctl whether others may look into this process. */
static long follow_ids(long result) {
    broker_follow();
    return result < 0 ? result : host(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
}

static long take_groups(const struct caller *caller) {
    long result = 0;
    if (own.group_count != caller->group_count ||
        !is_same(own.groups, caller->groups, caller->group_count))
        result = host(__NR_setgroups, caller->group_count, caller->groups);
    if (result < 0)
        return result;
    own.group_count = caller->group_count;
    memcpy(own.groups, caller->groups, caller->group_count * sizeof *caller->groups);
    if (is_same(own.gid, caller->gid, 4))
        return 0;
    own.gid[3] = UNKNOWN; /* until all is done */
    result = host(__NR_setresgid, caller->gid[0], caller->gid[1], caller->gid[2]);
    if (result >= 0)
        result = take_file_id(__NR_setfsgid, caller->gid[3]);
    if (result >= 0)
        memcpy(own.gid, caller->gid, sizeof own.gid);
    return follow_ids(result);
}

static long take_ids(const struct caller *caller) {
    long result = take_groups(caller);
    if (result < 0 || is_same(own.uid, caller->uid, 4))
        return result;
    own.uid[3] = UNKNOWN;
    result = host(__NR_setresuid, caller->uid[0], caller->uid[1], caller->uid[2]);
    if (result >= 0)
        result = take_file_id(__NR_setfsuid, caller->uid[3]);
    if (result >= 0)
        memcpy(own.uid, caller->uid, sizeof own.uid);
    return follow_ids(result);
}

static long look(struct caller *caller) {
    static char status[STATUS_SIZE];
    char name[16];
    format(name, sizeof name, "%u", caller->request->tid);
    long result = host(__NR_openat, AT_FDCWD, name, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (result < 0)
        return result;
    caller->proc = (int)result;
    result = read_file(caller->proc, "status", status, sizeof status);
    if (result < 0)
        return result;
    if (!read_status(caller, status))
        return -EPERM;
    result = open_process(caller, status);
    if (result < 0)
        return result;
    caller->process = (int)result;
    return broker_is_waited_for(caller->request) ? 0 : -ESRCH;
}

long caller_take(struct caller *caller, const struct broker_request *request) {
    caller->request = request;
    caller->proc = caller->process = -1;
    set_capabilities(own.permitted);
    long result = look(caller);
    if (result >= 0)
        result = take_ids(caller);
    if (result < 0)
        return result;
    host(__NR_umask, caller->umask);
    return set_capabilities(caller->capabilities & own.permitted);
}

void caller_leave(struct caller *caller) {
    set_capabilities(own.permitted);
    if (caller->proc >= 0)
        host(__NR_close, caller->proc);
    if (caller->process >= 0)
        host(__NR_close, caller->process);
}

long caller_read(const struct caller *caller, u64 from, void *to, u64 size) {
    struct iovec here = {to, size}, there = {(void *)from, size};
    u64 before = raise_capabilities();
    long got = size ? host(__NR_process_vm_readv, caller->request->tid, &here, 1, &there, 1, 0) : 0;
    set_capabilities(before);
    if (got >= 0 && (u64)got != size)
        return -EFAULT;
    if (got >= 0 && !broker_is_waited_for(caller->request))
        return -ESRCH;
    return got < 0 ? got : 0;
}

long caller_write(const struct caller *caller, u64 to, const void *from, u64 size) {
    u64 before = raise_capabilities();
    long fd = host(__NR_openat, caller->proc, "mem", O_WRONLY | O_CLOEXEC, 0);
    long put = fd < 0 ? fd : host(__NR_pwrite64, fd, from, size, to);
    set_capabilities(before);
    if (fd >= 0)
        host(__NR_close, fd);
    return put == (long)size ? 0 : -EFAULT;
}

long caller_string(const struct caller *caller, u64 from, char *to, u64 size) {
    u64 length = 0;
    while (length < size) {
        u64 piece = min_u64(PAGE_SIZE - ((from + length) & (PAGE_SIZE - 1)), size - length);
        long result = caller_read(caller, from + length, to + length, piece);
        if (result < 0)
            return result;
        const char *end = memchr(to + length, 0, piece);
        if (end)
            return end - to;
        length += piece;
    }
    return -ENAMETOOLONG;
}

long caller_descriptor(const struct caller *caller, int number) {
    if (number < 0)
        return -EBADF;
    u64 before = raise_capabilities();
    long result = host(__NR_pidfd_getfd, caller->process, number, 0);
    set_capabilities(before);
    /* Before PIDFD_THREAD that is the first thread, which has none any more once it has ended. */
    return result == -ESRCH ? -EBADF : result;
}

long caller_link(const struct caller *caller, const char *link) {
    u64 before = raise_capabilities();
    long result = host(__NR_openat, caller->proc, link, O_PATH | O_CLOEXEC, 0);
    set_capabilities(before);
    return result;
}

u32 caller_terminal(const struct caller *caller) {
    char text[512];
    u64 number = 0;
    if (read_file(caller->proc, "stat", text, sizeof text) < 0)
        return 0;
    const char *at = strrchr(text, ')'); /* the end of the name, which may be anything */
    for (u32 space = 0; at && space < 5; space++)
        at = strchr(at + 1, ' ');
    for (at = at ? at + 1 : ""; *at >= '0' && *at <= '9'; at++)
        number = number * 10 + (u64)(*at - '0');
    return (u32)number;
}

u64 caller_file_limit(const struct caller *caller) {
    static const char name[] = "\nMax file size ";
    char text[2048];
    u64 limit = 0;
    const char *at =
        read_file(caller->proc, "limits", text, sizeof text) < 0 ? NULL : strstr(text, name);
    if (!at)
        return 0;
    for (at += sizeof name - 1; *at == ' '; at++)
        ;
    if (*at == 'u') /* unlimited */
        return RLIM64_INFINITY;
    for (; *at >= '0' && *at <= '9'; at++)
        limit = limit * 10 + (u64)(*at - '0');
    return limit;
}

void caller_signal(const struct caller *caller, int signal) {
    u64 before = raise_capabilities();
    host(__NR_pidfd_send_signal, caller->process, signal, 0, 0);
    set_capabilities(before);
}
