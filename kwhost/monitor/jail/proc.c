#include "jail/proc.h"

#include "jail/cover.h"
#include "jail/kernel.h"

bool proc_protect(int root, struct failure *failure) {
    static const char *const hidden[] = {
        "/proc/acpi",        "/proc/asound",     "/proc/interrupts", "/proc/kallsyms",
        "/proc/kcore",       "/proc/key-users",  "/proc/keys",       "/proc/kmsg",
        "/proc/kpagecgroup", "/proc/kpagecount", "/proc/kpageflags", "/proc/latency_stats",
        "/proc/sched_debug", "/proc/scsi",       "/proc/slabinfo",   "/proc/timer_list",
        "/proc/timer_stats", "/proc/vmallocinfo"};
    static const char *const for_reading[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                              "/proc/sysrq-trigger"};
    for (u32 i = 0; i < array_size(hidden); i++) {
        long result = cover(root, hidden[i]);
        if (result < 0)
            return fail(failure, STATUS_OWN, result, "hiding %s", hidden[i]);
    }
    for (u32 i = 0; i < array_size(for_reading); i++) {
        long result = cover_for_reading(root, for_reading[i]);
        if (result < 0)
            return fail(failure, STATUS_OWN, result, "protecting %s", for_reading[i]);
    }
    return true;
}

void proc_forbid_user_namespaces(int proc) {
    long fd = host(__NR_openat, proc, "sys/user/max_user_namespaces", O_WRONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return;
    host(__NR_write, fd, "0", 1);
    host(__NR_close, fd);
}
