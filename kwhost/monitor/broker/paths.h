/* Where a caller's path leads, walked by a worker who has become the caller. Directories are the
 * kernel's to walk, symbolic links and "self" of /proc are replaced here, since in the worker's
 * hands they would mean the worker. Everything found is held by O_PATH descriptors. */
#ifndef KW_BROKER_PATHS_H
#define KW_BROKER_PATHS_H

#include <linux/limits.h>

#include "broker/caller.h"

struct target {
    int object;    /* what the path leads to; -1: there is nothing yet, or it was not asked for */
    int directory; /* that the last name is in; -1: it has none, as behind a link of /proc */
    char name[PATH_MAX]; /* the last name, with slashes that follow it */
};

enum path_end {
    END_FOLLOWED, /* the object, of a last symbolic link that it leads to */
    END_OBJECT,   /* the object itself */
    END_NAME,     /* no object: the name in its directory */
};

/* Finds what a path leads to from the caller's directory `dirfd` (or AT_FDCWD). Where the last name
 * alone is missing this is no error: object is -1. Returns 0 or a negative errno. */
long path_find(const struct caller *caller, int dirfd, const char *path, enum path_end end,
               struct target *target);

/* Likewise the kernel's way with all of it, restricted as openat2(2) says; object alone. */
long path_find_within(const struct caller *caller, int dirfd, const char *path, enum path_end end,
                      u64 resolve, struct target *target);

void path_close(struct target *target);

/* The directory that a caller's path begins in. */
long path_start(const struct caller *caller, int dirfd);

/* The path of what the worker holds, as the kernel tells it; without a slash at its beginning it is
 * none. `real` has PATH_MAX bytes. */
long path_real(int fd, char *real);

/* The path of the last name of a target, which may be one of nothing yet. */
long path_real_name(const struct target *target, char *real);

/* A name of what the worker holds, for calls that follow it: from its working directory. */
#define HELD_SIZE 24
void path_held(int fd, char name[HELD_SIZE]);

/* Names that no call makes or removes: "", ".", "..", "/". */
bool path_is_special(const char *path);

/* Whether it is in a procfs. */
bool path_is_proc(int fd);

/* What comes behind the caller's own process, or thread, in a path below /proc; NULL: it is
 * another's.
 */
const char *path_own(const struct caller *caller, const char *real);

#endif
