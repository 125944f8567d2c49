/* A relay: the process in one target's network namespace through which its connections go. It sees
 * what a hostile instance sends, and so has no privilege, a short list of system calls and memory
 * that does not grow; whatever happens to it, no other target has a part in it. */
#ifndef FORWARD_RELAY_H
#define FORWARD_RELAY_H

#include <stdbool.h>

#include "packets.h"
#include "protocol.h"

/* Set before anything else runs. */
extern struct kw_forward_target relay_target;
extern struct kw_forward_counts *relay_counts;

/* Returns when the server has gone: 0, or a negative errno. */
int relay(void);

/* In relay_jail.c: enter the namespace and give up everything else. 0 or a negative errno. */
int relay_enter(void);

/* In relay_address.c: the places where a call is tried, by turn: 0, 1, ... The length of the
 * address; 0 behind the last one. */
socklen_t relay_address(unsigned turn, unsigned family, uint16_t number, union address *address);

/* In relay_calls.c. `at_most` connections at once. */
int relay_calls_open(uint32_t at_most);
/* A call and its client, which becomes the relay's. */
void relay_call(const struct call *call, int client);
/* The calls that wait too long for an answer are tried elsewhere; milliseconds to the next one, or
 * -1. */
int relay_calls_overdue(void);
/* Places of ended connections are used again: never while events for them may still be at hand. */
void relay_calls_reclaim(void);

/* In relay_datagrams.c. `at_most` sessions at once. */
int relay_datagrams_open(uint32_t at_most);
void relay_datagrams_idle(void);

/* The counts are read by another process at any time. */
#define COUNT(member, by) __atomic_fetch_add(&relay_counts->member, (by), __ATOMIC_RELAXED)

#endif
