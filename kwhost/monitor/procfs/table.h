/* The instance-wide process table: what /proc tells of a process that its host process cannot tell
 * or tells wrongly. A memfd that every monitor of the instance maps; each writes its own slot, and
 * any of them may have been taken over by its guest: readers copy and bound whatever they use. */
#ifndef KW_PROCFS_TABLE_H
#define KW_PROCFS_TABLE_H

#include <linux/limits.h>

#include "base/types.h"

struct process;

#define TABLE_ENVIRON_MAX 4096u
#define TABLE_AUXV_MAX 512u

/* One process. The numbers are for show only. */
struct table_entry {
    u64 virtual_size, virtual_peak; /* bytes */
    u64 ignored, caught;            /* signal sets */
    u64 code_start, code_end, break_start, stack_start;
    u64 argument_start, argument_end, environment_start, environment_end;
    u32 threads;
    u32 exe_length, auxv_length, environ_length;
    char exe[PATH_MAX];
    u8 auxv[TABLE_AUXV_MAX];
    char environ[TABLE_ENVIRON_MAX];
};

/* For the jail: creates the table. Returns a descriptor for own_fd(OWN_TABLE), or a negative errno.
 */
int table_create(void);

/* Maps own_fd(OWN_TABLE), shared. Once per monitor start; forked monitors inherit the mapping. */
int table_start(void);

/* The accounts of the instance (base/accounts.h), which lie in the same memory. NULL: none. */
struct accounts;
struct accounts *table_accounts(void);

/* After program_start succeeded: publishes the program of this process anew (exe_path,
 * program_image, environment and auxiliary vector from guest memory, sizes, signals, threads). */
void table_publish_exec(struct process *process);

/* In a forked (or vforked) child: as its parent's entry was. */
void table_publish_fork(struct process *child, int parent_pid);

/* Cheap (a few stores): after a thread came or went, after the address space changed its size,
 * after rt_sigaction. */
void table_publish_threads(struct process *process);
void table_publish_size(struct process *process, u64 bytes);
void table_publish_signals(struct process *process);

/* When the process ends in an orderly way. Slots of processes that are gone are reclaimed anyway.
 */
void table_remove(struct process *process);

/* A copy of the entry of process `pid`, every length bounded. False when it has none. */
bool table_read(int pid, struct table_entry *entry);
/* The same without its exe, auxv and environ, which are not touched. */
bool table_read_numbers(int pid, struct table_entry *entry);

/* Whether `pid` has an entry: it is a process whose monitor is up. */
bool table_has(int pid);

/* A counter that all monitors of the instance share, for waiting on one another: wakes all who
 * wait; reads it; waits until it is no longer `seen`, a signal comes, or `ns` have passed. */
void table_wake(void);
u32 table_wakes(void);
void table_wait(u32 seen, u64 ns);

/* Which directory is the sealed /proc: written by the first monitor, before any guest ran. */
struct table_directory {
    u64 device, inode;
};
struct table_directory table_sealed(void);
void table_set_sealed(struct table_directory directory);

#endif
