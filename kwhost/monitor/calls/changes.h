/* The general form of calls that change something by its path. */
#ifndef KW_CALLS_CHANGES_H
#define KW_CALLS_CHANGES_H

#include <linux/limits.h>

#include "calls/judged.h"

/* What a path names in a call. */
enum subject {
    SUBJECT_NONE,   /* nothing to be judged */
    SUBJECT_NAME,   /* a name in a directory, which is made or goes */
    SUBJECT_OBJECT, /* what it leads to */
    SUBJECT_PAIR,   /* two of them: link and rename */
};

/* A call in its general form: the *at call, with a directory before each path. */
struct change {
    struct thread *thread;
    long nr;
    u64 value[6];
    enum subject subject;
    u32 path[2];     /* numbers of the arguments */
    bool directory;  /* argument path[0] - 1 is a directory */
    bool follow;     /* path[0] */
    bool descriptor; /* path[0] is empty or none: the directory itself is meant */
    u32 access;
    bool alone;    /* nobody else uses the descriptor table, which is the guest's */
    int opened[4]; /* for the call, in the table that it is made with */
    u32 opened_count;
    struct kw_policy_verdict verdict;
    char text[PATH_MAX];
};

/* Brings a call with its translated arguments into the general form. */
void change_describe(struct change *change, struct thread *thread, u64 nr, const u64 value[6]);

/* Sets the number and the first arguments of its call. */
void change_set(struct change *change, long nr, u32 count, const u64 *value);

/* Opens a path with O_PATH. In a table of its own, of which the guest may have used up all numbers,
 * gives a few back that the call does not name. */
long change_open(struct change *change, int dirfd, const char *path, int flags);

/* A name, and the directory that it is in. */
struct name {
    int directory;
    const char *last;
    char real[PATH_MAX];
};

/* Opens the directory of path number `which`. */
long change_find_name(struct change *change, u32 which, struct name *name);

/* Notes a verdict on a path, or on two, and tells whether it refuses. */
bool change_refuses(struct change *change, struct kw_policy_verdict verdict, const char *path);
bool change_refuses_pair(struct change *change, struct kw_policy_verdict verdict, const char *old,
                         const char *new);

/* Makes the call. */
long change_make(const struct change *change);

/* Judges and makes a rename. */
long change_place(struct change *change);

/* The result of the call, or that of the verdict that was noted. */
long change_finish(struct call *call, const struct change *change, long result);

#endif
