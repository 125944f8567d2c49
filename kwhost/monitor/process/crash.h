/* What the one line about a crashed program says. */
#ifndef KW_PROCESS_CRASH_H
#define KW_PROCESS_CRASH_H

#include <asm/siginfo.h>

#include "process/thread.h"

/* Notes in the statistics page the fault that is about to end the instance's first process: signal,
 * code, address, instruction, and which mapping the address hit. Nothing for other processes. */
void crash_record(struct thread *thread, const siginfo_t *info);

#endif
