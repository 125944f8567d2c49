/* The thread whose call a worker makes: who it is, and what it has. Everything is looked up in a
 * procfs of the worker's own pid namespace, and counts only if the caller still waited for its
 * answer afterwards. That procfs is the worker's working directory, so that self/fd/N is the name
 * of what it holds itself. */
#ifndef KW_BROKER_CALLER_H
#define KW_BROKER_CALLER_H

#include "broker/request.h"

#define CALLER_GROUPS_MAX 1024

struct caller {
    const struct broker_request *request;
    struct broker_request *told; /* likewise, as it is told and asked about: nothing of it is in
                                  * memory, where others might change it */
    int proc;                    /* its directory in the held procfs */
    int process;                 /* pidfd, of the thread where the kernel has such */
    /* As in the instance. */
    u32 pid, tid;
    u32 uid[4], gid[4]; /* real, effective, saved, of the file system */
    u32 groups[CALLER_GROUPS_MAX], group_count;
    u64 capabilities; /* effective */
    u32 umask;
};

/* Finds out about the caller and becomes it, as far as the kernel looks at who makes a call; the
 * rest of the worker's capabilities stays within its reach. Returns 0 or a negative errno. */
long caller_take(struct caller *caller, const struct broker_request *request);

/* Becomes the worker again. */
void caller_leave(struct caller *caller);

/* Copies from and to the caller's memory. Return 0 or a negative errno. */
long caller_read(const struct caller *caller, u64 from, void *to, u64 size);
long caller_write(const struct caller *caller, u64 to, const void *from, u64 size);

/* Copies a string. Returns its length, -ENAMETOOLONG where it has `size` bytes or more, -EFAULT. */
long caller_string(const struct caller *caller, u64 from, char *to, u64 size);

/* A descriptor of the caller's as one of the worker's, the same open file; or a negative errno. */
long caller_descriptor(const struct caller *caller, int number);

/* Where its paths begin, or what else a link of /proc leads to: "cwd", "root", "fd/3", ... Returns
 * an O_PATH descriptor or a negative errno. */
long caller_link(const struct caller *caller, const char *link);

/* Opens, by a name of the worker's own, what belongs to the caller's process in a procfs: with the
 * right to look into it, which a thread has over its own process, and for a directory to list it.
 */
long caller_open_own(const char *name, u64 flags, bool directory);

/* The number of the device that is its controlling terminal; 0: it has none. */
u32 caller_terminal(const struct caller *caller);

/* How long it may make a file: its soft RLIMIT_FSIZE. */
u64 caller_file_limit(const struct caller *caller);

/* Sends the calling thread a signal. */
void caller_signal(const struct caller *caller, int signal);

#endif
