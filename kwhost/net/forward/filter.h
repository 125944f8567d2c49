/* The system calls that the forwarder and its relays may make. */
#ifndef FORWARD_FILTER_H
#define FORWARD_FILTER_H

#include <linux/filter.h>

/* START: of a relay, until it has its own filter. */
enum filter_role { FILTER_SERVER, FILTER_START, FILTER_RELAY };

#define FILTER_LENGTH_MAX 1024
/* What calls without a rule fail with, in the forwarder. */
#define FILTER_REFUSED EPERM

/* Returns the length. */
unsigned short filter_make(enum filter_role role, struct sock_filter code[FILTER_LENGTH_MAX]);
/* From now on only these calls; needs no_new_privs or CAP_SYS_ADMIN. 0 or a negative errno. */
int filter_set(enum filter_role role);

#endif
