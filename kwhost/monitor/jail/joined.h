/* Further processes of a hosted instance (exec), as supervise sees them. Each has a control
 * connection to itself, and lives as long as that is held. */
#ifndef KW_JAIL_JOINED_H
#define KW_JAIL_JOINED_H

#include "jail/joiner.h"

#include <linux/poll.h>

struct broker;
struct supervisor;

#define JOINED_MAX 64 /* at once in one instance */
#define JOINED_POLLS (4 * JOINED_MAX)

struct joined {
    bool used;
    bool gets_keeper; /* of an instance with KW_LAUNCH_BARE */
    bool has_keeper;  /* or is on the way there, and nothing else can hold it up */
    u64 arrives_by;   /* CLOCK_MONOTONIC: whatever programs inside do to it on its way */
    int connection;   /* -1: it was closed, and the process with it */
    int channel;      /* from the process on its way; -1: it has arrived, or never will */
    int helper;       /* pidfd; -1: it has ended */
    int process;      /* pidfd; -1: there is none yet, or it has ended */
    int helper_pid;
    int pid;                /* of the process; 0: there is none yet, or never will be */
    int master;             /* of its terminal, -1: none */
    int status;             /* its wait status */
    struct failure failure; /* status != 0: it did not start */
};

struct joined_all {
    int *born;  /* JOINED_MAX words shared with the helpers: their children's ids */
    int joiner; /* the channel to it; -1: none yet */
    struct joined each[JOINED_MAX];
};

bool joined_prepare(struct joined_all *all, struct failure *failure);

/* Takes the connection over for a new process, which the descriptors that came with the request
 * describe. These stay the caller's. What is wrong is told on the connection. */
void joined_begin(struct supervisor *supervisor, int connection, const int *fds, u32 count);

/* What to wait for, and then what to do with the results. `broker`: where listeners go. */
void joined_wants(const struct joined_all *all, struct pollfd polls[JOINED_POLLS]);
void joined_handle(struct joined_all *all, const struct pollfd polls[JOINED_POLLS],
                   const struct broker *broker);

/* Ends those that are on their way for too long. Returns when the next one is, CLOCK_MONOTONIC; 0:
 * none is on its way. */
u64 joined_expire(struct joined_all *all, u64 now);

/* True when there are any whose end was not told yet. */
bool joined_any(const struct joined_all *all);

#endif
