/* The last steps of a program that runs without a monitor (KW_LAUNCH_PROCESS): instead of
 * entry_place_descriptors and entry_start_monitor of jail/entry.h. */
#ifndef KW_JAIL_ENTRY_PROGRAM_H
#define KW_JAIL_ENTRY_PROGRAM_H

#include "jail/entry.h"

/* Lowers the limits, and puts the channel to supervise at a number that no program of the instance
 * can ever have: the first one beyond their limit. Everything else goes at exec. */
bool entry_place_channel(struct entry *entry);

/* Finds the program as its user does and executes it, under the instance's Landlock rules and a
 * seccomp filter of which supervise gets the listener. Returns on failure alone. */
bool entry_start_program(struct entry *entry);

/* The steps of a program with a monitor or without one. */
static inline bool entry_place(struct entry *entry) {
    return launch_is_process(entry->launch) ? entry_place_channel(entry)
                                            : entry_place_descriptors(entry);
}

static inline bool entry_start(struct entry *entry) {
    return launch_is_process(entry->launch) ? entry_start_program(entry)
                                            : entry_start_monitor(entry);
}

#endif
