/* Short-lived threads of this process with a descriptor table of their own, in which no other guest
 * thread can open, close or replace anything. */
#ifndef KW_PROCESS_ERRAND_H
#define KW_PROCESS_ERRAND_H

#include "base/types.h"

/* Runs work(argument) in one and waits for it. Its table begins as a copy of the guest's, and with
 * `own_directory` so do its working directory and root. It must only make host calls that do not
 * block: no signal comes through. Returns its result, or a negative errno (-EAGAIN: no thread). */
long errand_run(long (*work)(void *argument), void *argument, bool own_directory);

#endif
