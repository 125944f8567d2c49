/* What guests find in /proc (procfs/place.h). What is not in these lists does not exist for them.
 */
#include <asm/stat.h>
#include <linux/fcntl.h>
#include <linux/stat.h>

#include "base/host.h"
#include "base/text.h"
#include "process/exec.h"
#include "process/thread.h"
#include "procfs/content.h"
#include "procfs/place.h"
#include "procfs/private.h"

#define PID_LIMIT (1ul << 22)

/* Left out of the root: kcore, kmsg, kallsyms, keys, sysrq-trigger, timer_list, sched_debug,
 * config.gz, interrupts, slabinfo, modules, bus, fs, irq, acpi, scsi, tty, driver and whatever
 * comes. */
static const struct place_entry root_entries[] = {
    {"buddyinfo", PLACE_REAL, 0, NULL},
    {"cgroups", PLACE_REAL, 0, NULL},
    {"cmdline", PLACE_TEXT, 0, make_kernel_command},
    {"cpuinfo", PLACE_REAL, 0, NULL},
    {"crypto", PLACE_REAL, 0, NULL},
    {"devices", PLACE_REAL, 0, NULL},
    {"diskstats", PLACE_REAL, 0, NULL},
    {"filesystems", PLACE_REAL, 0, NULL},
    {"loadavg", PLACE_REAL, 0, NULL},
    {"meminfo", PLACE_REAL, 0, NULL},
    {"misc", PLACE_REAL, 0, NULL},
    {"mounts", PLACE_LINK, 0, NULL},
    {"net", PLACE_LINK, 0, NULL},
    {"partitions", PLACE_REAL, 0, NULL},
    {"pressure", PLACE_DIRECTORY, 0, NULL},
    {"self", PLACE_LINK, 0, NULL},
    {"softirqs", PLACE_REAL, 0, NULL},
    {"stat", PLACE_REAL, 0, NULL},
    {"swaps", PLACE_REAL, 0, NULL},
    {"sys", PLACE_DIRECTORY, 0, NULL},
    {"thread-self", PLACE_LINK, 0, NULL},
    {"uptime", PLACE_REAL, 0, NULL},
    {"version", PLACE_REAL, 0, NULL},
    {"vmstat", PLACE_REAL, 0, NULL},
    {"zoneinfo", PLACE_REAL, 0, NULL},
};

/* Left out of a process: map_files, ns, pagemap, clear_refs, stack, syscall, attr, timers and more.
 */
static const struct place_entry process_entries[] = {
    {"auxv", PLACE_TEXT, PLACE_PEER, make_auxv},
    {"cgroup", PLACE_TEXT, 0, make_cgroup},
    {"cmdline", PLACE_TEXT, 0, make_cmdline},
    {"comm", PLACE_COMM, 0, NULL},
    {"coredump_filter", PLACE_TEXT, PLACE_NO_TASK, make_filter},
    {"cwd", PLACE_JUMP, PLACE_OWN, NULL},
    {"environ", PLACE_TEXT, PLACE_PEER, make_environ},
    {"exe", PLACE_PROGRAM, PLACE_PEER, NULL},
    {"fd", PLACE_DIRECTORY, PLACE_OWN, NULL},
    {"fdinfo", PLACE_DIRECTORY, PLACE_OWN, NULL},
    {"gid_map", PLACE_TEXT, 0, make_real},
    {"io", PLACE_TEXT, PLACE_OWN, make_io},
    {"limits", PLACE_TEXT, 0, make_limits},
    {"loginuid", PLACE_REAL, 0, NULL},
    {"maps", PLACE_TEXT, PLACE_OWN, make_maps},
    {"mem", PLACE_MEMORY, PLACE_OWN, NULL},
    {"mountinfo", PLACE_TEXT, 0, make_mountinfo},
    {"mounts", PLACE_TEXT, 0, make_mounts},
    {"mountstats", PLACE_TEXT, PLACE_OWN | PLACE_NO_TASK, make_mountstats},
    {"net", PLACE_DIRECTORY, 0, NULL},
    {"oom_score", PLACE_REAL, 0, NULL},
    {"oom_score_adj", PLACE_REAL, 0, NULL},
    {"personality", PLACE_TEXT, PLACE_OWN, make_personality},
    {"projid_map", PLACE_TEXT, 0, make_real},
    {"root", PLACE_JUMP, PLACE_OWN, NULL},
    {"schedstat", PLACE_REAL, 0, NULL},
    {"sessionid", PLACE_REAL, 0, NULL},
    {"setgroups", PLACE_TEXT, PLACE_NO_TASK, make_real},
    {"smaps", PLACE_TEXT, PLACE_OWN, make_smaps},
    {"smaps_rollup", PLACE_TEXT, PLACE_OWN, make_smaps_rollup},
    {"stat", PLACE_TEXT, 0, make_stat},
    {"statm", PLACE_TEXT, 0, make_statm},
    {"status", PLACE_TEXT, 0, make_status},
    {"task", PLACE_DIRECTORY, PLACE_NO_TASK, NULL},
    {"uid_map", PLACE_TEXT, 0, make_real},
    {"wchan", PLACE_TEXT, 0, make_zero},
};

static const struct place_entry any_directory = {"", PLACE_DIRECTORY, 0, NULL};
static const struct place_entry any_real = {"", PLACE_REAL, 0, NULL};
static const struct place_entry one_descriptor = {"", PLACE_JUMP, PLACE_OWN, NULL};
static const struct place_entry one_info = {"", PLACE_TEXT, PLACE_OWN, make_real};

/* What sysctl shows of the host that is none of an instance's business. */
static const char *const sys_shown[] = {"abi", "fs", "kernel", "net", "user", "vm"};
static const char *const sys_hidden[] = {"kernel/keys",     "kernel/usermodehelper",
                                         "fs/binfmt_misc",  "kernel/core_pattern",
                                         "kernel/modprobe", "kernel/hotplug"};

static const struct place_entry *find_entry(const struct place_entry *entries, u64 count,
                                            const char *name, u64 length) {
    for (u64 i = 0; i < count; i++)
        if (!strncmp(entries[i].name, name, length) && !entries[i].name[length])
            return &entries[i];
    return NULL;
}

static u64 part_length(const char *path) {
    const char *slash = strchr(path, '/');
    return slash ? (u64)(slash - path) : strlen(path);
}

/* The part behind the first, "" when there is none. */
static const char *part_after(const char *path) {
    const char *slash = strchr(path, '/');
    return slash ? slash + 1 : "";
}

/* The number that the first part of `path` is, as procfs reads it: no signs, no leading zeros. */
static bool part_number(const char *path, u64 limit, u64 *number) {
    u64 length = part_length(path);
    if (!length || length > 10 || (path[0] == '0' && length > 1))
        return false;
    *number = 0;
    for (u64 i = 0; i < length; i++) {
        if (path[i] < '0' || path[i] > '9')
            return false;
        *number = *number * 10 + (u64)(path[i] - '0');
    }
    return *number < limit;
}

/* Whether `tid` is a thread of the asking process. */
static bool is_own_thread(struct thread *thread, u64 tid) {
    struct process *process = thread->process;
    bool found = tid == (u64)process->pid;
    lock_take(&process->threads_lock);
    for (struct thread *each = process->threads; each && !found; each = each->next)
        found = tid == (u64)each->kernel_tid;
    lock_release(&process->threads_lock);
    return found;
}

static bool sys_shows(const char *path) {
    u64 length = part_length(path);
    bool shown = false;
    for (u64 i = 0; i < array_size(sys_shown); i++)
        shown |= !strncmp(sys_shown[i], path, length) && !sys_shown[i][length];
    for (u64 i = 0; i < array_size(sys_hidden); i++)
        if (has_prefix(path, sys_hidden[i]) && strchr("/", path[strlen(sys_hidden[i])]))
            return false;
    return shown;
}

/* Something in a directory of which everything may be seen: the host says what it is. */
static long find_real(struct place *place) {
    struct stat status;
    /* Paths come without ".." from a walk. One of another origin must not leave the directory. */
    if (strstr(place->inside, ".."))
        return -ENOENT;
    long result =
        host(__NR_newfstatat, own_fd(OWN_PROC), place->inside, &status, AT_SYMLINK_NOFOLLOW);
    if (result < 0)
        return result;
    switch (status.st_mode & S_IFMT) {
    case S_IFDIR:
        place->entry = &any_directory;
        return 0;
    case S_IFREG:
        place->entry = &any_real;
        return 0;
    default:
        return -ENOENT;
    }
}

/* Behind a link stands a slash: `after`, or nothing when it is the link's target that is meant. */
static void set_beyond(struct place *place, const char *after) {
    place->beyond = after;
    place->followed = true;
}

/* fd/N... and fdinfo/N. */
static long find_descriptor(struct place *place, const char *path, bool info) {
    u64 number, length = part_length(path);
    if (!part_number(path, own_fd_base(), &number))
        return -ENOENT;
    place->number = (int)number;
    place->entry = info ? &one_info : &one_descriptor;
    if (path[length] && info)
        return -ENOTDIR;
    if (path[length])
        set_beyond(place, path + length + 1);
    return 0;
}

static long find_task(struct place *place, const char *path);

/* In a process's or thread's directory. */
static long find_in_process(struct place *place, const char *path) {
    u64 length = part_length(path);
    if (!length) {
        place->entry = &any_directory;
        return 0;
    }
    const struct place_entry *entry =
        find_entry(process_entries, array_size(process_entries), path, length);
    if (!entry || (place->tid && (entry->flags & PLACE_NO_TASK)))
        return -ENOENT;
    place->entry = entry;
    place->is_cwd = !strcmp(entry->name, "cwd");
    if (!path[length])
        return 0;
    const char *after = path + length + 1;
    if (entry->kind == PLACE_JUMP || (entry->kind == PLACE_PROGRAM && !*after)) {
        set_beyond(place, after);
        return 0;
    }
    if (entry->kind != PLACE_DIRECTORY)
        return -ENOTDIR;
    if (!strcmp(entry->name, "net"))
        return find_real(place);
    if (!strcmp(entry->name, "task"))
        return find_task(place, after);
    return find_descriptor(place, after, entry->name[2] == 'i');
}

static long find_task(struct place *place, const char *path) {
    u64 tid;
    if (!part_number(path, PID_LIMIT, &tid) || (place->own && !is_own_thread(place->thread, tid)))
        return -ENOENT;
    place->tid = (int)tid;
    return find_in_process(place, part_after(path));
}

long place_find(struct thread *thread, const char *inside, struct place *place) {
    u64 number, length = part_length(inside);
    *place = (struct place){.thread = thread, .inside = inside, .number = -1, .beyond = ""};
    if (!length) {
        place->entry = &any_directory;
        return 0;
    }
    if (part_number(inside, PID_LIMIT, &number) && number) {
        place->pid = (int)number;
        place->own = is_own_thread(thread, number);
        return find_in_process(place, part_after(inside));
    }
    place->entry = find_entry(root_entries, array_size(root_entries), inside, length);
    if (!place->entry)
        return -ENOENT;
    if (!inside[length])
        return 0;
    if (place->entry->kind != PLACE_DIRECTORY)
        return -ENOTDIR;
    if (!strcmp(place->entry->name, "sys") && !sys_shows(inside + length + 1))
        return -ENOENT;
    return find_real(place);
}

/* The numbers in a line of status ("Uid:\t0\t0\t0\t0"): true when the first three equal `id`. */
static bool three_equal(const char *status, const char *label, u64 id) {
    const char *line = strstr(status, label);
    if (!line)
        return false;
    line += strlen(label);
    for (int i = 0; i < 3; i++) {
        u64 value = 0;
        while (*line == '\t' || *line == ' ')
            line++;
        if (*line < '0' || *line > '9')
            return false;
        while (*line >= '0' && *line <= '9')
            value = value * 10 + (u64)(*line++ - '0');
        if (value != id)
            return false;
    }
    return true;
}

/* Linux's rule for looking into another process: all its user and group ids are the asker's. */
static bool is_peer(const struct place *place) {
    struct host_text status;
    char path[32];
    format(path, sizeof(path), "%d/status", place->pid);
    bool peer = !host_text_read(place->thread, path, &status) &&
                three_equal(status.data, "\nUid:", (u64)host(__NR_geteuid)) &&
                three_equal(status.data, "\nGid:", (u64)host(__NR_getegid));
    host_text_free(&status);
    return peer;
}

long place_may_read(const struct place *place) {
    u8 flags = place->entry->flags;
    if (place->own || !place->pid || !(flags & (PLACE_OWN | PLACE_PEER)))
        return 0;
    bool possible = place->entry->kind != PLACE_MEMORY;
    return possible && is_peer(place) ? 0 : -EACCES;
}

bool place_shows(const struct place *place, const char *name) {
    struct place inner;
    char path[PATH_MAX];
    u64 number;
    if (!strcmp(name, ".") || !strcmp(name, ".."))
        return true;
    if (place->own && !strcmp(place->entry->name, "task"))
        return part_number(name, PID_LIMIT, &number) && is_own_thread(place->thread, number);
    if (format(path, sizeof(path), "%s%s%s", place->inside, place->inside[0] ? "/" : "", name) >=
        (int)sizeof(path))
        return false;
    return !place_find(place->thread, path, &inner);
}
