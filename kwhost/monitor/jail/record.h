/* Reading the launch record (struct kw_launch). */
#ifndef KW_JAIL_RECORD_H
#define KW_JAIL_RECORD_H

#include <linux/limits.h>

#include "abi/kw_abi.h"
#include "jail/errors.h"

#define LAUNCH_SIZE_MAX (16ul << 20)
#define LAUNCH_MOUNTS_MAX 512u
/* How many descriptors a record names: those from control_fd up to log_size. */
#define LAUNCH_FDS                                                                                 \
    ((offsetof(struct kw_launch, log_size) - offsetof(struct kw_launch, control_fd)) / sizeof(int))
#define LAUNCH_TAP_FDS (KW_TAPS_MAX * KW_TAP_QUEUES_MAX)

struct launch_mount {
    u32 kind, flags, mode;
    const char *source, *target, *data; /* NULL: none; target: absolute, without "." and ".." */
};

/* A record that passed all checks. The pointers lead into it, or into tables mapped for it; both
 * live until launch_free, if ever. */
struct launch {
    const struct kw_launch *record;
    const struct launch_mount *mounts; /* record->mount_count */
    const struct kw_tap *taps;         /* record->tap_count */
    char **argv, **envp;               /* NULL-terminated */
    const char *workdir;               /* absolute */
    u64 tables_size;                   /* bytes mapped at argv for the tables; 0: none */
};

/* Copies the record out of `fd` and checks it. */
bool launch_read(int fd, struct launch *launch, struct failure *failure);

/* Likewise for a further process of a running instance, whose record gives what this one does not.
 * On failure there is nothing to be freed. */
bool launch_read_exec(int fd, const struct kw_launch *instance, struct launch *launch,
                      struct failure *failure);

void launch_free(struct launch *launch);

/* Every descriptor that a record names; KW_NO_FD where there is none. Those of taps are apart. */
void launch_fds(const struct kw_launch *record, int fds[LAUNCH_FDS]);
void launch_tap_fds(const struct launch *launch, int fds[LAUNCH_TAP_FDS]);

/* Checks a record of `size` bytes that nobody else can change, 8-byte aligned. Of one that is not
 * good launch->record may still be set, so that its control_fd, if that is one, can be told. */
bool launch_parse(const void *record, u64 size, struct launch *launch, struct failure *failure);

/* An instance of the engine "process": its programs have no monitors. */
#define launch_is_process(launch) launch_is(launch, KW_LAUNCH_PROCESS)
/* One that does without namespaces and mounts. */
#define launch_is_bare(launch) launch_is(launch, KW_LAUNCH_BARE)

/* Of one that does without: the directory that it may write; NULL: none. */
const char *launch_scratch(const struct launch *launch);

static inline bool launch_is(const struct launch *launch, u32 flag) {
    return launch->record->flags & flag;
}

#endif
