/* The process between supervise and a program that has no pid namespace (KW_LAUNCH_BARE): what such
 * a namespace would do. Whatever the program leaves behind becomes its child, and ends with the
 * program, when supervise says so, and when supervise is gone. What the instance wrote goes with
 * it. As the child of host root it is root too, with the capabilities that this takes, so that no
 * program of the instance can signal it; as an ordinary user's, Landlock sees to that from its
 * version 6 on. */
#ifndef KW_JAIL_KEEPER_H
#define KW_JAIL_KEEPER_H

#include "base/types.h"

/* The signal that means "end all", for a keeper gets no other for itself: it passes them on to the
 * program. C libraries keep this number for themselves; nobody sends it to a program. Of a keeper
 * that is killed instead only the program itself ends, by the kernel; the rest is left to
 * jail/sweep.h. */
#define KEEPER_END 32

/* The signal for the first process of an instance, or for one that joined, that does what `signal`
 * is to do to the program. */
#define keeper_signal(signal) ((signal) == SIGKILL ? KEEPER_END : (u32)(signal))

struct keeping {
    int program, supervise; /* process ids */
    u32 uid, gid;           /* that the instance's files have */
    int proc;               /* descriptor of a procfs */
    int scratch;            /* descriptor of the directory in which `name` is; -1: none */
    int lease;              /* holds the ids until all that has them is gone; -1: nothing does */
    const char *name;       /* what is removed at the end; "": nothing */
};

/* Becomes the keeper of a program that is this process's child already, by executing `self`, so
 * that it holds nothing else of this process's. */
_Noreturn void keeper_become(const struct keeping *keeping, int self);

/* What is executed then; `arguments` are those behind its role. */
#define KEEPER_ARGUMENTS 5
_Noreturn void keeper_main(char *const arguments[KEEPER_ARGUMENTS]);

#endif
