/* What the parts of supervise share: its state, and how they act on the instance. */
#ifndef KW_JAIL_SUPERVISOR_H
#define KW_JAIL_SUPERVISOR_H

#include "broker/broker.h"
#include "jail/companion.h"
#include "jail/control.h"
#include "jail/hosted.h"
#include "jail/policies.h"
#include "jail/relay.h"
#include "jail/start.h"

struct supervisor {
    struct launch launch;
    struct instance instance;
    struct connection connections[KW_CONNECTIONS_MAX];
    struct hosted *hosted;  /* NULL: it runs in the foreground of a command */
    struct relay relays[3]; /* foreground: of standard input, output and error */
    u8 *buffers;            /* foreground: RELAY_SIZE each */
    struct policies policies;
    struct companion companion;
    struct broker broker;
    int listen, lifeline, stats, exit_file; /* -1: none */
    int master, slave; /* of the program's terminal. The slave is held so that the terminal stays up
                        * while no process has it open */
    u64 started;       /* CLOCK_REALTIME */
    u64 kill_at;       /* when a stop turns into a kill, CLOCK_MONOTONIC ns; 0: not asked for */
    bool running;      /* the program was reached */
    bool exited;
    int status;             /* of the first process, once it exited */
    u32 ended_by;           /* signal that SIGKILL stood for; 0: none (jail/default_action.h) */
    struct failure failure; /* status != 0: the start failed */
};

/* Signals the instance's first process while there is one. */
void supervisor_signal(struct supervisor *supervisor, u32 signal);

/* Nobody waits for the instance any more. */
_Noreturn void supervisor_end_at_once(struct supervisor *supervisor);

#endif
