/* The host's side of signals: its handlers and dispositions. */
#ifndef KW_PROCESS_SIGNAL_HOST_H
#define KW_PROCESS_SIGNAL_HOST_H

#include "process/thread.h"

enum signal_default { DEFAULT_END, DEFAULT_IGNORE, DEFAULT_STOP };
enum signal_default signal_default_action(int signal);

/* Makes the host's disposition of `signal` follow the guest's action. Hold process->actions_lock.
 */
void host_action_follow(int signal, const struct guest_action *action);

/* Reads the host's disposition; true when it is ignored. */
bool host_action_ignored(int signal);

/* Sets SIG_IGN or SIG_DFL on the host whatever the guest's action. */
void host_action_plain(int signal, u64 handler);

/* Sends *info to this very thread, or to the whole process. */
void host_send(const struct thread *thread, const siginfo_t *info, bool to_process);

#endif
