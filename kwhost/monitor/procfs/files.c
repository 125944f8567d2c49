/* Small texts: limits, io, cgroup and constants. */
#include <linux/resource.h>

#include "base/host.h"
#include "calls/resources.h"
#include "process/thread.h"
#include "procfs/content.h"
#include "procfs/private.h"
#include "procfs/scan.h"

/* The host's own command line is none of a guest's business. */
long make_kernel_command(const struct place *place, struct text *text) {
    (void)place;
    text_add(text, "\n");
    return 0;
}

long make_cgroup(const struct place *place, struct text *text) {
    (void)place;
    text_add(text, "0::/\n");
    return 0;
}

long make_personality(const struct place *place, struct text *text) {
    (void)place;
    text_add(text, "00000000\n");
    return 0;
}

long make_zero(const struct place *place, struct text *text) {
    (void)place;
    text_add(text, "0");
    return 0;
}

long make_filter(const struct place *place, struct text *text) {
    (void)place;
    text_add(text, "00000033\n");
    return 0;
}

/* The host's accounting is closed even for the process itself (monitors are not dumpable): what
 * getrusage tells, in its units of 512 bytes. */
long make_io(const struct place *place, struct text *text) {
    struct rusage usage;
    (void)place;
    long result = host(__NR_getrusage, RUSAGE_SELF, &usage);
    if (result)
        return result;
    u64 in = (u64)usage.ru_inblock << 9, out = (u64)usage.ru_oublock << 9;
    text_add(text, "rchar: %lu\nwchar: %lu\nsyscr: 0\nsyscw: 0\n", in, out);
    text_add(text, "read_bytes: %lu\nwrite_bytes: %lu\ncancelled_write_bytes: 0\n", in, out);
    return 0;
}

static const struct {
    const char *name, *unit;
} limit_names[RLIM_NLIMITS] = {
    [RLIMIT_CPU] = {"Max cpu time", "seconds"},
    [RLIMIT_FSIZE] = {"Max file size", "bytes"},
    [RLIMIT_DATA] = {"Max data size", "bytes"},
    [RLIMIT_STACK] = {"Max stack size", "bytes"},
    [RLIMIT_CORE] = {"Max core file size", "bytes"},
    [RLIMIT_RSS] = {"Max resident set", "bytes"},
    [RLIMIT_NPROC] = {"Max processes", "processes"},
    [RLIMIT_NOFILE] = {"Max open files", "files"},
    [RLIMIT_MEMLOCK] = {"Max locked memory", "bytes"},
    [RLIMIT_AS] = {"Max address space", "bytes"},
    [RLIMIT_LOCKS] = {"Max file locks", "locks"},
    [RLIMIT_SIGPENDING] = {"Max pending signals", "signals"},
    [RLIMIT_MSGQUEUE] = {"Max msgqueue size", "bytes"},
    [RLIMIT_NICE] = {"Max nice priority", NULL},
    [RLIMIT_RTPRIO] = {"Max realtime priority", NULL},
    [RLIMIT_RTTIME] = {"Max realtime timeout", "us"},
};

static void add_padded(struct text *text, const char *part, u64 width) {
    text_add(text, "%s", part);
    for (u64 length = strlen(part); length < width; length++)
        text_add(text, " ");
}

static void add_value(struct text *text, u64 value) {
    char number[24];
    format(number, sizeof(number), "%lu", value);
    add_padded(text, value == RLIM64_INFINITY ? "unlimited" : number, 21);
}

static void add_limit(struct text *text, u32 which, const struct rlimit64 *limit) {
    add_padded(text, limit_names[which].name, 26);
    add_value(text, limit->rlim_cur);
    add_value(text, limit->rlim_max);
    if (limit_names[which].unit)
        add_padded(text, limit_names[which].unit, 10);
    text_add(text, "\n");
}

/* Another process: the host's text, with this process's own limits where monitors keep them. */
static long make_other_limits(const struct place *place, struct text *text) {
    struct host_text real;
    long result = host_text_read(place->thread, place->inside, &real);
    if (!result) {
        char *rest = real.data, *line;
        while ((line = next_line(&rest))) {
            u32 which = 0;
            while (which < RLIM_NLIMITS &&
                   !(limit_is_kept(which) && has_prefix(line, limit_names[which].name)))
                which++;
            if (which < RLIM_NLIMITS)
                add_limit(text, which, &place->thread->process->rlimits[which]);
            else
                text_add(text, "%s\n", line);
        }
    }
    host_text_free(&real);
    return result;
}

long make_limits(const struct place *place, struct text *text) {
    if (!place->own)
        return make_other_limits(place, text);
    text_add(text,
             "Limit                     Soft Limit           Hard Limit           Units     \n");
    for (u32 which = 0; which < RLIM_NLIMITS; which++) {
        struct rlimit64 limit = place->thread->process->rlimits[which];
        if (!limit_is_kept(which))
            host(__NR_prlimit64, 0, which, 0, &limit);
        add_limit(text, which, &limit);
    }
    return 0;
}
