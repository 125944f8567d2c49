/* Making the instance's first process, from outside. */
#ifndef KW_JAIL_START_H
#define KW_JAIL_START_H

#include "jail/jail.h"

/* The new process and supervise's ends of what leads to it. */
struct instance {
    int pid, pidfd;
    int channel;
    int self;         /* hosted: the sealed executable, for later processes; -1: none */
    int policy, bell; /* for its monitors, of struct policies; -1: none */
    int learn;        /* likewise */
    const struct program_filter *filter; /* of programs without monitors */
    const struct kw_ceiling *ceiling;    /* for them too; NULL: nothing is narrowed */
    int pipes[3];         /* other ends of its standard input, output and error; -1: none */
    const char *unmapped; /* see struct sources */
};

/* Starts the process in its cgroups, writes its id maps and hands it its mounts, and goes into this
 * process's own cgroups. Its descriptors are closed on
 * exec. On failure a process may be there (pid > 0), to be killed. */
bool instance_start(const struct launch *launch, struct instance *instance,
                    struct failure *failure);

/* What is weaker than asked, if anything. */
bool instance_notice(const struct instance *instance, struct kw_message *event);

#endif
