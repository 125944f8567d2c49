/* The forwarder itself: the control socket, the published ports, and the relays' parent. */
#ifndef FORWARD_SERVE_H
#define FORWARD_SERVE_H

/* Detach from the caller and serve until told to stop, or until the socket is removed. Takes over
 * the listening control socket, the locked file forward.lock and their directory. Returns 0 in the
 * caller once it runs, and in the new process when it ends; or a negative errno when it did not
 * start. */
int serve(int listener, int lock, int directory);

#endif
