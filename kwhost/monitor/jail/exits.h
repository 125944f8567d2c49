/* What the end of an instance's first process means, told in an event. */
#ifndef KW_JAIL_EXITS_H
#define KW_JAIL_EXITS_H

#include "abi/kw_abi.h"

/* Makes the event from a wait status and the statistics page behind `stats_fd` (-1: none), which
 * the instance's monitors have written and may have forged: every value is bounded. */
void exit_describe(int status, int stats_fd, struct kw_message *event);

#endif
