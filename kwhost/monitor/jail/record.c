#include "jail/record.h"

#include <linux/mman.h>

#include "base/text.h"
#include "jail/kernel.h"

#define KNOWN_FLAGS                                                                                \
    (KW_LAUNCH_TTY | KW_LAUNCH_STDIN | KW_LAUNCH_INIT | KW_LAUNCH_READ_ONLY | KW_LAUNCH_ROOTLESS | \
     KW_LAUNCH_HOSTED | KW_LAUNCH_ATTACHED | KW_LAUNCH_NETWORK | KW_LAUNCH_PROCESS |               \
     KW_LAUNCH_BARE)
/* What a further process has of its instance's. */
#define SHARED_FLAGS (KW_LAUNCH_ROOTLESS | KW_LAUNCH_PROCESS | KW_LAUNCH_BARE)
#define EXEC_FLAGS (KW_LAUNCH_TTY | KW_LAUNCH_STDIN | KW_LAUNCH_EXEC | SHARED_FLAGS)
#define KNOWN_MOUNT_FLAGS                                                                          \
    (KW_MOUNT_READ_ONLY | KW_MOUNT_ID_MAPPED | KW_MOUNT_RECURSIVE | KW_MOUNT_NO_EXEC |             \
     KW_MOUNT_OPTIONAL | KW_MOUNT_DEVICE | KW_MOUNT_NO_LINKS | KW_MOUNT_UPPER)
#define TAP_MTU_LEAST 1280u /* of IPv6 */
#define TAP_MTU_MOST 65521u
#define NOFILE_LEAST 64u
#define LOG_SIZE_MOST (1ul << 50)
#define NOFILE_MOST 15104u /* with the monitor's own the tables stay at 16,384 entries */

static bool bad(struct failure *failure, const char *what) {
    return fail(failure, STATUS_OWN, 0, "the launch record is not valid: %s", what);
}

/* The string at `offset`, or NULL when there is none or it does not end inside the record. */
static const char *string_at(const struct kw_launch *record, u32 offset) {
    if (offset < sizeof *record || offset >= record->size)
        return NULL;
    const char *text = (const char *)record + offset;
    return memchr(text, 0, record->size - offset) ? text : NULL;
}

static bool fits(const struct kw_launch *record, u32 offset, u64 count, u64 size) {
    return offset % 4 == 0 && offset >= sizeof *record && offset <= record->size &&
           count <= (record->size - offset) / size;
}

/* Which descriptors there have to be, and which there must not be. */
static bool check_descriptors(const struct kw_launch *record) {
    const bool exec = record->flags & KW_LAUNCH_EXEC, hosted = record->flags & KW_LAUNCH_HOSTED;
    int fds[LAUNCH_FDS];
    launch_fds(record, fds);
    for (u32 i = 0; i < LAUNCH_FDS; i++)
        if (fds[i] != KW_NO_FD && (exec || fds[i] < 3))
            return false;
    if (exec)
        return true;
    bool without_kvm = record->flags & KW_LAUNCH_PROCESS;
    if ((record->kvm_fd < 0) != without_kvm || record->stats_fd < 0)
        return false;
    if (record->learn_fd >= 0 && (hosted || record->policy_fd < 0))
        return false;
    if (record->netns_fd >= 0 && record->flags & KW_LAUNCH_ROOTLESS)
        return false;
    if (hosted)
        return record->lifeline_fd < 0;
    return record->control_fd >= 0 && record->listen_fd < 0 && record->log_dir_fd < 0 &&
           record->exit_fd < 0;
}

static bool check_log(const struct kw_launch *record) {
    return record->log_dir_fd < 0 ||
           (record->log_size >= KW_LOG_SIZE_LEAST && record->log_size <= LOG_SIZE_MOST &&
            record->log_files >= 1 && record->log_files <= KW_LOG_FILES_MAX);
}

static bool check_header(const struct kw_launch *record, u64 size, struct failure *failure) {
    if (size < sizeof *record || record->magic != KW_LAUNCH_MAGIC)
        return bad(failure, "it is none");
    if (record->version != KW_ABI_VERSION)
        return fail(failure, STATUS_OWN, 0,
                    "the launch record has version %u, this monitor knows %u: install kwhost anew",
                    record->version, KW_ABI_VERSION);
    if (record->size != size)
        return bad(failure, "its size");
    bool exec = record->flags & KW_LAUNCH_EXEC;
    if (record->flags & ~(u32)(exec ? EXEC_FLAGS : KNOWN_FLAGS))
        return bad(failure, "unknown flags");
    if (record->flags & KW_LAUNCH_ATTACHED && !(record->flags & KW_LAUNCH_HOSTED))
        return bad(failure, "attached, but not hosted");
    if (record->flags & KW_LAUNCH_NETWORK && record->netns_fd != KW_NO_FD)
        return bad(failure, "a network that is there is waited for");
    if (!record->name[0] || !memchr(record->name, 0, sizeof record->name))
        return bad(failure, "the name");
    if (record->nofile < NOFILE_LEAST || record->nofile > NOFILE_MOST)
        return bad(failure, "the number of descriptors");
    if (!check_descriptors(record))
        return bad(failure, "a descriptor");
    if (!check_log(record))
        return bad(failure, "the log's size");
    if (record->counted_cgroup > KW_CGROUPS_MAX ||
        (record->counted_cgroup && record->guest_cgroup_fds[record->counted_cgroup - 1] < 0))
        return bad(failure, "a cgroup");
    if ((exec && (record->mount_count || record->tap_count)) || record->reserved)
        return bad(failure, "unknown fields");
    if (record->secrets_fd != KW_NO_FD &&
        (record->secrets_fd < 3 || exec || record->flags & KW_LAUNCH_BARE))
        return bad(failure, "the secrets");
    return true;
}

/* Ids 0 to id_count-1 must have numbers on the host, and root never its own. */
static bool check_ids(const struct kw_launch *record, struct failure *failure) {
    u32 count = record->id_count;
    bool rootless = record->flags & KW_LAUNCH_ROOTLESS;
    if (count == 0 || count > 1u << 24)
        return bad(failure, "the number of ids");
    bool needs_range = !rootless || count > 1;
    if (needs_range && (record->host_uid_base == 0 || record->host_gid_base == 0 ||
                        record->host_uid_base > 0xfffffffeu - count ||
                        record->host_gid_base > 0xfffffffeu - count))
        return bad(failure, "the range of ids");
    if (record->uid >= count || record->gid >= count)
        return fail(failure, STATUS_OWN, 0,
                    "user %u:%u is outside of the instance's ids 0 to %u: an ordinary user needs "
                    "subordinate ids in /etc/subuid and /etc/subgid for more than one",
                    record->uid, record->gid, count - 1);
    if (record->group_count > KW_GROUPS_MAX)
        return bad(failure, "the number of groups");
    for (u32 i = 0; i < record->group_count; i++)
        if (record->groups[i] >= count)
            return fail(failure, STATUS_OWN, 0, "group %u is outside of the instance's ids 0 to %u",
                        record->groups[i], count - 1);
    return true;
}

/* Turns `count` string offsets into pointers. */
static bool read_strings(const struct kw_launch *record, u32 offset, u32 count, char **strings) {
    const u32 *offsets = (const u32 *)((const char *)record + offset);
    for (u32 i = 0; i < count; i++) {
        const char *text = string_at(record, offsets[i]);
        if (!text)
            return false;
        strings[i] = (char *)text;
    }
    strings[count] = NULL;
    return true;
}

static bool read_mount(const struct kw_launch *record, const struct kw_mount *from, u32 index,
                       struct launch_mount *mount) {
    *mount = (struct launch_mount){.kind = from->kind,
                                   .flags = from->flags,
                                   .mode = from->mode,
                                   .source = string_at(record, from->source_offset),
                                   .target = string_at(record, from->target_offset),
                                   .data = string_at(record, from->data_offset)};
    if (from->kind < KW_MOUNT_TMPFS || from->kind > KW_MOUNT_SECRETS ||
        from->flags & ~(u32)KNOWN_MOUNT_FLAGS || from->mode > 07777)
        return false;
    if ((from->source_offset && !mount->source) || (from->data_offset && !mount->data))
        return false;
    if (!is_plain_path(mount->target))
        return false;
    bool needs_source = from->kind == KW_MOUNT_BIND || from->kind == KW_MOUNT_OVERLAY ||
                        from->kind == KW_MOUNT_SYMLINK || from->kind == KW_MOUNT_FILE;
    if (needs_source && !mount->source)
        return false;
    if (mount->target[1])
        return true;
    return index == 0 && (from->kind == KW_MOUNT_TMPFS || from->kind == KW_MOUNT_BIND ||
                          from->kind == KW_MOUNT_OVERLAY);
}

/* Whoever has secrets gets to see them, once. */
static bool check_secrets(const struct launch *launch) {
    u32 count = 0;
    for (u32 i = 0; i < launch->record->mount_count; i++)
        count += launch->mounts[i].kind == KW_MOUNT_SECRETS;
    return count == (launch->record->secrets_fd != KW_NO_FD);
}

/* What can be told without asking the kernel about the descriptors. */
static bool is_sound_tap(const struct kw_tap *tap) {
    bool named = tap->name[0] && memchr(tap->name, 0, sizeof tap->name);
    if (!named || tap->mac[0] & 1 || tap->prefix4 > 32 || tap->prefix6 > 128 ||
        tap->header_size == 0 || tap->mtu < TAP_MTU_LEAST || tap->mtu > TAP_MTU_MOST ||
        tap->queue_count == 0 || tap->queue_count > KW_TAP_QUEUES_MAX)
        return false;
    for (u32 i = 0; i < KW_TAP_QUEUES_MAX; i++)
        if (i < tap->queue_count ? tap->queue_fds[i] < 3 : tap->queue_fds[i] != KW_NO_FD)
            return false;
    for (u32 i = 0; i < array_size(tap->reserved); i++)
        if (tap->reserved[i])
            return false;
    return true;
}

/* No descriptor is named twice: each queue has one that drives it. */
static bool check_taps(const struct launch *launch) {
    int fds[LAUNCH_FDS + LAUNCH_TAP_FDS];
    for (u32 i = 0; i < launch->record->tap_count; i++)
        if (!is_sound_tap(&launch->taps[i]))
            return false;
    launch_fds(launch->record, fds);
    launch_tap_fds(launch, fds + LAUNCH_FDS);
    for (u32 i = LAUNCH_FDS; i < array_size(fds); i++)
        for (u32 j = 0; j < i; j++)
            if (fds[i] != KW_NO_FD && fds[i] == fds[j])
                return false;
    return true;
}

void launch_tap_fds(const struct launch *launch, int fds[LAUNCH_TAP_FDS]) {
    memset(fds, 0xff, LAUNCH_TAP_FDS * sizeof(int)); /* KW_NO_FD */
    for (u32 i = 0; i < launch->record->tap_count; i++)
        memcpy(fds + (u64)i * KW_TAP_QUEUES_MAX, launch->taps[i].queue_fds,
               sizeof launch->taps[i].queue_fds);
}

void launch_fds(const struct kw_launch *record, int fds[LAUNCH_FDS]) {
    const u8 *from = (const u8 *)record + offsetof(struct kw_launch, control_fd);
    memcpy(fds, from, LAUNCH_FDS * sizeof(int));
}

bool launch_parse(const void *data, u64 size, struct launch *launch, struct failure *failure) {
    const struct kw_launch *record = data;
    *launch = (struct launch){.record = size >= sizeof *record ? record : NULL};
    if (!check_header(record, size, failure) || !check_ids(record, failure))
        return false;
    if (record->mount_count > LAUNCH_MOUNTS_MAX ||
        !fits(record, record->mounts_offset, record->mount_count, sizeof(struct kw_mount)) ||
        !fits(record, record->argv_offset, record->argc, sizeof(u32)) || record->argc == 0 ||
        !fits(record, record->env_offset, record->envc, sizeof(u32)) ||
        record->tap_count > KW_TAPS_MAX ||
        (record->tap_count &&
         !fits(record, record->taps_offset, record->tap_count, sizeof(struct kw_tap))))
        return bad(failure, "a table outside of it");
    if (record->tap_count)
        launch->taps = (const struct kw_tap *)((const char *)record + record->taps_offset);
    if (!check_taps(launch))
        return bad(failure, "a tap");

    u64 strings = (u64)record->argc + record->envc + 2;
    u64 needed = strings * sizeof(char *) + record->mount_count * sizeof(struct launch_mount);
    long memory = host(__NR_mmap, 0, page_up(needed), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (host_failed(memory))
        return fail(failure, STATUS_OWN, memory, "memory for the launch record");
    launch->argv = (char **)memory;
    launch->tables_size = page_up(needed);
    launch->envp = launch->argv + record->argc + 1;
    struct launch_mount *mounts = (struct launch_mount *)(launch->argv + strings);
    launch->mounts = mounts;

    if (!read_strings(record, record->argv_offset, record->argc, launch->argv) ||
        !read_strings(record, record->env_offset, record->envc, launch->envp))
        return bad(failure, "a string outside of it");
    const struct kw_mount *from =
        (const struct kw_mount *)((const char *)record + record->mounts_offset);
    for (u32 i = 0; i < record->mount_count; i++)
        if (!read_mount(record, &from[i], i, &mounts[i]))
            return fail(failure, STATUS_OWN, 0, "the launch record is not valid: mount %u", i + 1);
    if (!check_secrets(launch))
        return bad(failure, "the secrets");
    launch->workdir = record->workdir_offset ? string_at(record, record->workdir_offset) : "/";
    if (!launch->workdir || launch->workdir[0] != '/' || strlen(launch->workdir) >= PATH_MAX)
        return fail(failure, STATUS_OWN, 0, "the working directory must be an absolute path");
    return true;
}

/* Copies the record, so that nobody changes it any more. Returns NULL on failure. */
static struct kw_launch *copy_record(int fd, u64 *size, struct failure *failure) {
    struct statx stat;
    long result = host_stat(fd, "", AT_EMPTY_PATH, &stat);
    if (result < 0) {
        fail(failure, STATUS_OWN, result, "the launch record's descriptor %d", fd);
        return NULL;
    }
    *size = stat.stx_size;
    if (*size < sizeof(struct kw_launch) || *size > LAUNCH_SIZE_MAX) {
        bad(failure, "its size");
        return NULL;
    }
    long memory = host(__NR_mmap, 0, page_up(*size), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (host_failed(memory)) {
        fail(failure, STATUS_OWN, memory, "memory for the launch record");
        return NULL;
    }
    for (u64 done = 0; done < *size; done += (u64)result) {
        result = host(__NR_pread64, fd, memory + (long)done, *size - done, done);
        if (result <= 0) {
            host(__NR_munmap, memory, page_up(*size));
            fail(failure, STATUS_OWN, result, "the launch record could not be read");
            return NULL;
        }
    }
    return (struct kw_launch *)memory;
}

bool launch_read(int fd, struct launch *launch, struct failure *failure) {
    u64 size;
    struct kw_launch *record = copy_record(fd, &size, failure);
    *launch = (struct launch){.record = NULL};
    if (!record || !launch_parse(record, size, launch, failure))
        return false;
    return !launch_is(launch, KW_LAUNCH_EXEC) || bad(failure, "it is for a running instance");
}

bool launch_read_exec(int fd, const struct kw_launch *instance, struct launch *launch,
                      struct failure *failure) {
    u64 size;
    struct kw_launch *record = copy_record(fd, &size, failure);
    *launch = (struct launch){.record = NULL};
    if (!record)
        return false;
    bool valid = record->flags & KW_LAUNCH_EXEC || bad(failure, "it is for a new instance");
    record->flags = (record->flags & ~(u32)SHARED_FLAGS) | (instance->flags & SHARED_FLAGS);
    memcpy(record->name, instance->name, sizeof record->name);
    record->host_uid_base = instance->host_uid_base;
    record->host_gid_base = instance->host_gid_base;
    record->id_count = instance->id_count;
    record->nofile = instance->nofile;
    record->pids_limit = instance->pids_limit;
    record->memory_limit = instance->memory_limit;
    if (valid && launch_parse(record, size, launch, failure))
        return true;
    host(__NR_munmap, record, page_up(size));
    if (launch->tables_size)
        host(__NR_munmap, launch->argv, launch->tables_size);
    return false;
}

const char *launch_scratch(const struct launch *launch) {
    for (u32 i = 0; launch_is_bare(launch) && i < launch->record->mount_count; i++)
        if (launch->mounts[i].kind == KW_MOUNT_TMPFS)
            return launch->mounts[i].target;
    return NULL;
}

void launch_free(struct launch *launch) {
    host(__NR_munmap, launch->argv, launch->tables_size);
    host(__NR_munmap, launch->record, page_up(launch->record->size));
    *launch = (struct launch){.record = NULL};
}
