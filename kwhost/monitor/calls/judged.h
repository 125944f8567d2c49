/* Calls with paths under a policy with rules about paths. What is judged is the object that a path
 * leads to, by its real path, whatever changes meanwhile:
 *
 * - to open something, its real path is found out and judged, and then that very name is opened
 *   without following any symbolic link (judged_open.c, judged_links.c);
 * - to change something, the object, or the directory it is to be in, is held by a descriptor out
 * of the guest's reach, judged by its real path, and changed by that descriptor (judged_change.c).
 */
#ifndef KW_CALLS_JUDGED_H
#define KW_CALLS_JUDGED_H

#include "calls/call.h"
#include "process/exec.h"
#include "process/permit.h"

static inline bool paths_are_judged(void) {
    return policy_looks_for(KW_POLICY_LOOKS_PATH);
}

/* After a chroot(2) the kernel tells other paths than those that rules speak of. */
static inline bool paths_are_unknown(void) {
    return exec_flags() & EXEC_CHROOTED;
}

/* The path of an open descriptor of this thread as the kernel tells it. `path` has PATH_MAX bytes.
 * Returns 0 or a negative errno. */
long real_path(int fd, char *path);

/* An open(2) in any of its forms; the path is the monitor's copy. */
struct opening {
    int dirfd;
    const char *path;
    u64 flags, mode, resolve; /* as in struct open_how */
};

/* Whether there is anything to be judged. */
bool opening_is_judged(const struct opening *opening);

/* Opens. -EACCES (and where /proc is not sealed -ENOENT) may mean that the path leads into /proc.
 * Then opens `inside`, which procfs has claimed. */
long judged_open(struct call *call, const struct opening *opening);
long judged_open_in_proc(struct call *call, const struct opening *opening, const char *inside);

/* An absolute path with the symbolic links replaced that this thread knows to be on its way,
 * `last`: also its last component; or the path itself. In scratch memory. */
const char *links_follow(struct thread *thread, const char *path, bool last);

/* Remembers the first symbolic link of an absolute path of plain names, which led to another real
 * path. */
void links_learn(struct thread *thread, const char *path, const char *real);

/* Whether the call changes, or reads, more of an object than is known of its name. */
bool change_is_judged(u64 nr);

/* Makes such a call with its translated arguments. */
long judged_change(struct call *call, const struct host_args *args);

/* Whether an address of a call (as copy_sockaddr makes it) is a path that the policy judges. */
bool local_is_judged(u64 address, u64 size);

/* Connects a socket, or sends a message, to the socket that such an address leads to: it must be
 * writable. The message and all it points to are the monitor's copies. */
struct message;
long judged_connect(struct call *call, int fd, const void *address, u64 size);
long judged_send(struct call *call, int fd, const struct message *message, u32 flags);

/* Binds a socket to a copied AF_UNIX address, which makes a name where it has a path. */
long judged_bind(struct call *call, int fd, const void *address, u64 size);

#endif
