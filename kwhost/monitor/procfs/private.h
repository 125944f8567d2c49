/* Reading the real procfs. Its files never appear among the descriptors of a process with several
 * threads, where another guest thread could use them before they are closed again: such a process
 * reads them in a short-lived thread that has a descriptor table of its own. */
#ifndef KW_PROCFS_PRIVATE_H
#define KW_PROCFS_PRIVATE_H

#include "base/types.h"

struct thread;

/* Runs work(argument), which may open whatever it likes and must close it again; nothing it opens
 * lands in another guest thread's reach. It must only make host calls that do not block, and must
 * not look at the guest's descriptors. Returns its result, or a negative errno (-EAGAIN: no
 * thread). */
long in_private(struct thread *thread, long (*work)(void *argument), void *argument);

/* The whole of a file, in memory of its own. `data` ends with a NUL that `length` does not count.
 */
struct host_text {
    char *data;
    u64 length, size;
};

/* Reads `path` (relative to the procfs root). Returns 0 or a negative errno; the caller frees the
 * text in either case. */
long host_text_read(struct thread *thread, const char *path, struct host_text *text);
/* The same for a file below the directory `dirfd` that may be opened within the guest's reach; at
 * most `limit` bytes of it. */
long host_text_read_from(int dirfd, const char *path, u64 limit, struct host_text *text);
void host_text_free(struct host_text *text);

#endif
