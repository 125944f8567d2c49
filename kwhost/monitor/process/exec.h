/* What one monitor passes to the next across execve. */
#ifndef KW_PROCESS_EXEC_H
#define KW_PROCESS_EXEC_H

#include <linux/limits.h>

#include "base/own_fd.h"
#include "base/types.h"

#define EXEC_MAGIC 0x6b77657865637631ul /* "kwexecv1" */
#define EXEC_FIRST 1u                   /* first monitor of the instance or of a joining exec */
#define EXEC_RING0 2u                   /* SYSCALL lands in ring 0 here: the self-test was made */
#define EXEC_RING3 4u                   /* SYSCALL stays in ring 3 */
#define EXEC_PROC_UNSEALED                                                                         \
    8u /* /proc could not be made unsearchable: ENOENT may mean procfs too                         \
        */
#define EXEC_CWD_IN_PROC 16u
#define EXEC_JOINED 32u /* with EXEC_FIRST: of a joining exec */
#define EXEC_POLICY 64u /* the instance has a policy: own_fd(OWN_POLICY) */
#define EXEC_CHROOTED                                                                              \
    128u                  /* the root was changed: paths are not those that a policy speaks of     \
                           */
#define EXEC_CARRIED 256u /* no monitor's: Landlock holds the policy's rules on files */

/* Written into a memfd at own_fd(OWN_RECORD). Arguments and environment travel as the monitor's
 * own: it has no C library that would look at them. */
struct exec_record {
    u64 magic;
    u32 size, flags;
    u64 started_ns;     /* CLOCK_MONOTONIC when the launch began; first monitor only */
    u64 rlimits[16][2]; /* soft, hard: those the monitor keeps (struct process) */
    u64 guest_mask;
    u32 vdso_before, vdso_size; /* layout of the host's vDSO, once found out */
    u32 dumpable;
    u32 pids_limit;   /* guest processes and threads of the instance; 0: none */
    u64 memory_limit; /* bytes of private writable memory of the instance; 0: none */
    char comm[16];    /* name of the program's first thread; "": the last part of exec_name */
    char exe_path[PATH_MAX];  /* resolved path of the program's file */
    char exec_name[PATH_MAX]; /* AT_EXECFN */
};

/* Reads the record that the launcher or the monitor before this one left, closes it, and remembers
 * its lasting flags for the next. The host's signal mask is full at that point: the reader sets it
 * from guest_mask once its handlers stand, so that no signal is lost in between. Returns 0, -EBADF
 * when there is none (this is not a monitor), or -EINVAL when it is not a good one. */
int exec_record_take(struct exec_record *record);

/* EXEC_RING0, EXEC_RING3, EXEC_PROC_UNSEALED and EXEC_POLICY hold for the whole instance,
 * EXEC_CHROOTED for the process and those that it makes. What a monitor finds out is added here and
 * reaches every later one. */
u32 exec_flags(void);
void exec_flags_add(u32 flags);

/* Writes `record` (with the lasting flags) to own_fd(OWN_RECORD). Returns 0 or a negative errno. */
int exec_record_leave(struct exec_record *record);

/* Memory that a successful execve of a vfork'd thread left in the address space it shared: its
 * parent frees it once the child is gone from there. Does nothing when there is none. */
struct thread;
void exec_memory_free(struct thread *thread);

#endif
