/* Connections of daemons, which ask and are answered. */
#ifndef FORWARD_CONTROL_H
#define FORWARD_CONTROL_H

/* Takes over a listening socket. `stop` ends what this process has, before the answer to STOP.
 * Returns 0 or a negative errno. */
int control_open(int listener, void (*stop)(void));

#endif
