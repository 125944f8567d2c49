/* The steps into the jail that every first monitor takes: that of an instance, and those of the
 * programs that join it later. In the order in which they are declared. A program that has no
 * monitor (KW_LAUNCH_PROCESS) takes those of jail/entry_program.h where there is another one. */
#ifndef KW_JAIL_ENTRY_H
#define KW_JAIL_ENTRY_H

#include "jail/identity.h"
#include "jail/record.h"
#include "process/exec.h"

/* The state of a process on its way. Every descriptor is closed on exec. */
struct entry {
    const struct launch *launch;
    const struct launch *instance;       /* the same, or that of the instance which it joins */
    int channel;                         /* to supervise: its end says that the program runs */
    int stdio[3];                        /* of the program, unless it gets a terminal */
    int terminal;                        /* slave of the program's terminal, -1: none */
    int self;                            /* the sealed executable */
    int kvm, stats;                      /* kvm: -1 for a program without a monitor */
    int policy, bell;                    /* -1: the instance has no policy */
    int learn;                           /* -1: nothing is learnt */
    const struct program_filter *filter; /* of programs without monitors */
    const struct kw_ceiling *ceiling;    /* NULL: nothing is narrowed */
    int table;                           /* the process table */
    int proc;                            /* detached procfs */
    int standins;                        /* detached tmpfs of procfs/standin.h */
    u32 flags;                           /* of the exec record */
    struct limits limits;
    struct failure failure;
    struct exec_record record;
};

/* Becomes root of the user namespace. */
bool entry_become_root(struct entry *entry);

/* Makes a terminal if the program wants one, and hands its master over. */
bool entry_make_terminal(struct entry *entry, int devpts);

/* Goes to the program's working directory, below the root that is the process's already. */
bool entry_go_to_workdir(struct entry *entry);

/* Lowers the limits and puts the monitor's descriptors where it finds them: everything else but
 * standard input, output and error goes at exec. */
bool entry_place_descriptors(struct entry *entry);

/* From here on nothing can be gained any more: neither privileges nor a look into this process. */
bool entry_give_up_privileges(struct entry *entry);

/* A session of its own, and standard input, output and error. */
bool entry_take_stdio(struct entry *entry);

/* The program's user may open its own pipes anew, through /dev/stdout. Host root has seen to it
 * before. */
void entry_own_pipes(const struct entry *entry);

/* Finds the program as its user does and becomes its first monitor. Returns on failure alone. */
bool entry_start_monitor(struct entry *entry);

/* Tells supervise what failed, and ends. */
_Noreturn void entry_fail(struct entry *entry);

#endif
