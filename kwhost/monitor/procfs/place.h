/* What a path inside procfs names: the allow-list of everything that guests find in /proc. */
#ifndef KW_PROCFS_PLACE_H
#define KW_PROCFS_PLACE_H

#include "base/text.h"
#include "base/types.h"

struct thread;
struct place;

enum place_kind {
    PLACE_DIRECTORY,
    PLACE_REAL, /* a file whose real descriptor is harmless: same text for all, read-only */
    PLACE_TEXT, /* a text that the monitor makes */
    PLACE_COMM, /* comm: as REAL, and writable in the own process */
    PLACE_LINK, /* self, thread-self, mounts, net of the root: only as themselves, not followed */
    PLACE_JUMP, /* cwd, root, fd/N: magic links */
    PLACE_PROGRAM, /* exe */
    PLACE_MEMORY,  /* mem */
};

/* For processes of the same user. Of others: asked of their monitor (ask.h), or told by the process
 * table. */
#define PLACE_OWN 1u
#define PLACE_PEER 2u
#define PLACE_NO_TASK 4u /* not in task/TID */

/* Adds the text of a file. Returns 0 or a negative errno. */
typedef long (*text_maker)(const struct place *place, struct text *text);

struct place_entry {
    const char *name;
    u8 kind, flags;
    text_maker make;
};

struct place {
    struct thread *thread; /* who asks */
    const struct place_entry *entry;
    const char *inside; /* the path; also what it is called in the real procfs */
    int pid, tid;       /* of the process and of task/TID; 0: in neither */
    bool own;           /* pid is the asking process (or one of its threads) */
    bool is_cwd;        /* PLACE_JUMP: the working directory */
    int number;         /* fd/N and fdinfo/N, else -1 */
    const char *beyond; /* PLACE_JUMP: the path behind the link, "" for none */
    bool followed;      /* PLACE_JUMP, PLACE_PROGRAM: what the link leads to is meant, not itself */
};

/* Describes the path `inside` (as procfs_claims made it; must outlive *place). Returns 0, -ENOENT,
 * -ENOTDIR or -EACCES. That the process exists is for the host to say. */
long place_find(struct thread *thread, const char *inside, struct place *place);

/* 0 when the asking thread may read what `place` holds, else -EACCES. */
long place_may_read(const struct place *place);

/* Whether a directory listing shows `name`. `place` is a directory. */
bool place_shows(const struct place *place, const char *name);

#endif
