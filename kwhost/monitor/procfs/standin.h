/* Stand-ins: the descriptors that guests get for what they open in /proc.
 *
 * A real procfs directory in guest hands would be a way out: openat(fd, "self/fd/20000") names the
 * monitor's own descriptors, and no check of `fd` before the call holds, because another guest
 * thread may put a different file at that number between check and call. So a guest gets an object
 * of a detached tmpfs (own_fd(OWN_STANDINS)) that nothing can be reached from: an unlinked empty
 * directory, or a read-only unlinked file with the text. The name it had tells which path in procfs
 * it stands for
 * ("<tid>:123:task" for 123/task), and the kernel still tells that name by readlink of the
 * descriptor. So it survives dup, fork, exec and SCM_RIGHTS. A guest that makes objects there
 * itself (it could get at the root of that tmpfs through "..") gains nothing: the name is judged
 * like any path it passes. */
#ifndef KW_PROCFS_STANDIN_H
#define KW_PROCFS_STANDIN_H

#include "base/types.h"

struct thread;

/* Remembers the device number of the stand-ins. Once per monitor start. */
int standin_start(void);

/* Make a stand-in for the path `inside` at a guest-visible descriptor. Of `flags` O_CLOEXEC,
 * O_NONBLOCK and O_PATH are honoured. Return the descriptor or a negative errno. */
long standin_directory(struct thread *thread, const char *inside, int flags);
long standin_text(struct thread *thread, const char *inside, const void *data, u64 size, int flags);

/* Whether a device number is that of the stand-ins. */
bool standin_is(u64 device);

/* Whether these numbers are those of the sealed directory at /proc. */
bool standin_is_sealed(u64 device, u64 inode);

/* The path that a descriptor of this process (or AT_FDCWD: its working directory) stands for, in
 * inside[PATH_MAX]; the sealed directory itself (which O_PATH can open) stands for the root. False
 * when it stands for nothing. Cheap when it does not. */
bool standin_path(int fd, char *inside);

/* The same from a link text (of `length` bytes) that procfs showed for a stand-in. */
bool standin_parse(const char *name, u64 length, char *inside);

#endif
