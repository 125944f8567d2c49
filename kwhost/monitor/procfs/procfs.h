/* The guest's /proc. No procfs is mounted where a path can lead: at /proc lies an empty directory
 * that nobody can search, and the monitor alone holds a real one, detached, by descriptor. A path
 * call that ends in EACCES there (or starts in a procfs directory the monitor handed out) comes
 * here.
 *
 * What guests get to hold of procfs is never a real directory, and a real file only where it is
 * harmless: see standin.h. */
#ifndef KW_PROCFS_PROCFS_H
#define KW_PROCFS_PROCFS_H

#include "calls/call.h"
#include "process/thread.h"

/* For the jail, while it may mount: creates the detached file system for own_fd(OWN_STANDINS).
 * Returns its descriptor or a negative errno. */
int procfs_make_standins(void);

/* Once per monitor start, after the process table was mapped (table_start) and before the guest
 * runs: remembers which directory is the sealed one. The first monitor of an instance looks it up.
 */
int procfs_start(void);

/* Whether a path call has to be answered by procfs: asked before the host call when `dirfd` or the
 * working directory may lie in procfs, and after it when the host said EACCES (or ENOENT where the
 * directory could not be sealed). `follow`: whether a last symbolic link would have been followed.
 * On true `inside` holds the path relative to the procfs root ("" for the root itself; no "." or
 * ".." or doubled slashes; self and thread-self already replaced by numbers, unless they are the
 * last part and not followed), PATH_MAX bytes. A path that leaves procfs again through cwd, root or
 * fd/N
 * ("/proc/self/cwd/x") is claimed too: "123/cwd/x". A last magic link that is followed ends with a
 * slash: "123/exe/", "123/fd/1/". */
bool procfs_claims(struct thread *thread, int dirfd, const char *path, bool follow, char *inside);

/* True when a dirfd-relative lookup could start in procfs (cheap; decides whether to ask above). */
bool procfs_may_start_in(struct thread *thread, int dirfd, const char *path);

/* After a call of the stat family or statfs succeeded on the host: whether it was the sealed
 * directory that it described (which needs no search permission), so that procfs_call has to answer
 * for "". */
bool procfs_was_sealed(struct call *call);

/* Answers the call `nr` (open, openat, stat family, access family, readlink, chdir, statfs,
 * getxattr,
 * ...) on a claimed path. Calls that would change something are EACCES or EROFS as on Linux. Calls
 * with two paths are looked at anew, whichever of the two was claimed. */
long procfs_call(struct call *call, const char *inside);

/* openat2 with its already copied and checked structure; `path` for RESOLVE_IN_ROOT and _BENEATH.
 */
long procfs_openat2(struct thread *thread, const char *inside, const char *path, u64 flags,
                    u64 mode, u64 resolve);

/* Opens for execve the file that a claimed path leads to (exe, fd/N, or a path through cwd and root
 * links). Returns a close-on-exec descriptor open for reading, or a negative errno. */
long procfs_open_program(struct thread *thread, const char *inside);

/* Where a claimed path leads that leaves procfs by a magic link: a path to be opened from `dirfd`,
 * by any thread of this process. Returns 0, -ENOTTY when it stays inside, or another errno. */
struct procfs_target {
    int dirfd;
    bool is_link; /* nothing comes behind the magic link */
    int number;   /* of the guest's descriptor that is meant itself; -1: none */
    char path[PATH_MAX + 64];
};
long procfs_target(struct thread *thread, const char *inside, struct procfs_target *target);

/* The same open file under a new number, as opening it anew would give: pipes and terminals only.
 */
long procfs_duplicate(int fd, int flags);

/* Descriptors. A guest's descriptor may stand for something in procfs; the calls below answer for
 * those and return -ENOTTY for all others (make the call on the host then). procfs_fd_call: fstat,
 * fstatfs, fchdir. `fd` is checked (guest_fd_ok). */
bool procfs_holds(int fd);
long procfs_fd_call(struct call *call, int fd);

/* After read, write, pread64 or pwrite64 failed with `result` (EISDIR or EBADF): the answer when
 * the descriptor is /proc/self/mem, `result` when it is not or another call was made. */
long procfs_memory_call(struct call *call, long result);

/* Answers the question of another process's monitor (procfs/ask.h) that thread->asker tells of. */
void procfs_answer(struct thread *thread);

/* getdents64 on a directory of procfs: the monitor's own descriptors and threads are left out. */
long procfs_getdents(struct thread *thread, int fd, gva_t buffer, u64 size);

/* getcwd(2) when the working directory lies in procfs (process->cwd_in_proc). Returns the length
 * with NUL, -ERANGE, -EFAULT, or -ENOTTY. */
long procfs_getcwd(struct thread *thread, gva_t buffer, u64 size);

/* To be called after every successful chdir, fchdir or chroot made on the host, and at monitor
 * start: sets process->cwd_in_proc. */
void procfs_cwd_changed(struct thread *thread);

#endif
