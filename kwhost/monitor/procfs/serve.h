/* Answering calls on places in procfs. */
#ifndef KW_PROCFS_SERVE_H
#define KW_PROCFS_SERVE_H

#include "calls/call.h"
#include "procfs/place.h"

#define JUMP_PATH (PATH_MAX + 64)

/* The real name, relative to the procfs root, of what a followed link of the own process leads to:
 * "thread-self/fd/5/beyond". To be used with own_fd(OWN_PROC). `path` has JUMP_PATH bytes. */
void jump_path(const struct place *place, char *path);

/* 0 when the host knows the place (-ENOENT when its process is gone). */
long place_exists(const struct place *place);

/* open.c. */
long serve_open(const struct place *place, int flags, u32 mode);
long serve_chdir(const struct place *place);

/* attributes.c. Addresses are the guest's. */
long serve_stat(const struct place *place, gva_t buffer);
long serve_statx(const struct place *place, int flags, u32 mask, gva_t buffer);
long serve_statfs(gva_t buffer);
long serve_access(const struct place *place, u32 mode, int flags);

/* links.c. */
long serve_readlink(const struct place *place, gva_t buffer, u64 size);
/* The text of a link of this process at `path` in the real procfs, as its guest is to see it.
 * Returns the length (no NUL) or a negative errno. */
long guest_link_text(const char *path, char *text, u64 size);

/* What a followed link of another process leads to, by name. Returns 0 or a negative errno. */
long their_target(const struct place *place, char path[JUMP_PATH]);

/* beyond.c: calls on what a followed link leads to, made on the host. */
long serve_beyond(struct call *call, const struct place *place);
long serve_two_paths(struct call *call);

#endif
