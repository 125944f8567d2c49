/* What the processes of an instance use together of what is limited: processes and threads, and
 * private writable memory. The accounts lie in memory that all monitors of the instance share, one
 * for each process. There is no sum that could go wrong: sums are made when something grows, and
 * before it is refused the accounts of processes that ended in whatever way are closed.
 *
 * Both limits are the program's own warning, not a wall: monitors that were taken over may write
 * what they like here. The wall is the cgroup.
 *
 * Every function does nothing at once where nothing is limited. */
#ifndef KW_BASE_ACCOUNTS_H
#define KW_BASE_ACCOUNTS_H

#include "base/types.h"

#define ACCOUNTS_MOST 32768u /* processes of an instance with limits */

struct account {
    u32 owner;         /* process id and flags (accounts.c); 0: free */
    u32 tasks;         /* threads of the process */
    u32 memory;        /* number of the address space charged here; 0: none */
    u32 origin_memory; /* number of the address space that `inherited` is shared with, */
    u32 origin;        /* and its account */
    u32 reserved;
    u64 bytes;     /* of private writable memory, without inherited ones */
    u64 inherited; /* bytes that were there when the process was forked */
};

struct accounts {
    u32 used;        /* no account from here on was ever used */
    u32 last_memory; /* number given last */
    struct account accounts[ACCOUNTS_MOST];
};

struct account_limits {
    u64 tasks;  /* processes and threads; 0: no limit */
    u64 memory; /* bytes; 0: no limit */
};

/* At the start of each monitor: `shared` is the instance's. The process has its account already
 * when it was executed by another one. Returns its number, or -EAGAIN when the limit is reached. */
long accounts_start(struct accounts *shared, const struct account_limits *limits, u32 pid);

/* The limits, for the next monitor. */
struct account_limits accounts_limits(void);

/* An account for a process that the thread `tid` is about to make, or -EAGAIN. */
long account_reserve(u32 tid);
/* In the parent: no process was made; it was made. */
void account_release(u32 account);
void account_assign(u32 account, u32 tid, u32 pid);
/* In the child, before it goes on. Returns the number of its account. */
u32 account_take(u32 account, u32 pid);
/* In a forked child, with the bytes its memory has: they count once, with its parent's, as long as
 * the parent has as much. */
void account_forked(u32 account, u64 bytes);

/* False when the limit is reached. */
bool account_add_thread(u32 account);
void account_remove_thread(u32 account);

/* The process is about to end. Until it is waited for it counts as one. */
void account_end(u32 account);

/* Whether private writable memory of this address space, `bytes` now, may grow by `more`; then
 * others find it taken, and account_memory must tell what became of it. By one thread at a time. */
bool account_may_grow(u64 bytes, u64 more);
void account_memory(u64 bytes);

#endif
