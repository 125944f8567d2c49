/* One epoll instance for the process, and what it calls. */
#ifndef FORWARD_EVENTS_H
#define FORWARD_EVENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

/* A descriptor that is watched. The structure outlives its events: it lies in a table that is never
 * freed, so that an event that was already fetched finds at worst a later user of the same place,
 * and handlers take an event for no more than a hint. */
struct watch {
    int fd;         /* owned; -1: none */
    uint32_t wants; /* what epoll was told */
    void (*ready)(struct watch *watch, uint32_t events);
};

/* Both return 0 or a negative errno. */
int events_open(void);
/* Wait for events, at most so many milliseconds (-1: for ever), and call their handlers. */
int events_wait(int milliseconds);

/* Watch `fd`, which from now on belongs to the watch: also when this fails, with a negative errno.
 */
int watch_begin(struct watch *watch, int fd, uint32_t wants);
void watch_change(struct watch *watch, uint32_t wants);
/* Stop watching, and close the descriptor if there is one. */
void watch_end(struct watch *watch);

/* Milliseconds of a clock that never goes back. */
uint64_t now_ms(void);

#endif
