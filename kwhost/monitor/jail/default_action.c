#include "jail/default_action.h"

#include <asm/signal.h>

#include "base/text.h"
#include "jail/kernel.h"
#include "jail/supervisor.h"

#define BIT(signal) (1ul << ((signal)-1))
/* What these do by default does not end a program. */
#define HARMLESS                                                                                   \
    (BIT(SIGCHLD) | BIT(SIGCONT) | BIT(SIGURG) | BIT(SIGWINCH) | BIT(SIGSTOP) | BIT(SIGTSTP) |     \
     BIT(SIGTTIN) | BIT(SIGTTOU) | BIT(SIGKILL))

/* The hexadecimal number behind `name` in a text such as /proc/PID/status; all bits without one. */
static u64 mask_of(const char *text, const char *name) {
    const char *line = strstr(text, name);
    u64 mask = 0;
    if (!line)
        return ~0ul;
    for (line += strlen(name); *line == ' ' || *line == '\t';)
        line++;
    for (; (*line >= '0' && *line <= '9') || (*line >= 'a' && *line <= 'f'); line++)
        mask = mask << 4 | (u64)(*line <= '9' ? *line - '0' : *line - 'a' + 10);
    return mask;
}

bool default_action_ends(const struct supervisor *supervisor, u32 signal) {
    char path[48], text[4096];
    u32 others = KW_LAUNCH_INIT | KW_LAUNCH_BARE;
    if (!launch_is_process(&supervisor->launch) || launch_is(&supervisor->launch, others) ||
        !supervisor->running || signal < 1 || signal > 64 || HARMLESS & BIT(signal))
        return false;
    format(path, sizeof path, "/proc/%d/status", supervisor->instance.pid);
    long fd = host(__NR_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    long length = fd < 0 ? fd : host(__NR_read, fd, text, sizeof text - 1);
    if (fd >= 0)
        host(__NR_close, fd);
    if (length <= 0)
        return false;
    text[length] = 0;
    u64 spared =
        mask_of(text, "\nSigBlk:") | mask_of(text, "\nSigIgn:") | mask_of(text, "\nSigCgt:");
    return !(spared & BIT(signal));
}
