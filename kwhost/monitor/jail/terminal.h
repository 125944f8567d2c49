/* The pseudo terminal of an instance. */
#ifndef KW_JAIL_TERMINAL_H
#define KW_JAIL_TERMINAL_H

#include "jail/record.h"

/* Makes a terminal in the instance's devpts (a directory descriptor): pair[0] is the master,
 * pair[1] the slave, which belongs to the program's user and has the record's size. */
bool terminal_make(const struct launch *launch, int devpts, int pair[2], struct failure *failure);

/* Makes `slave` the controlling terminal of the calling session leader. */
bool terminal_control(int slave, struct failure *failure);

void terminal_resize(int master, u32 rows, u32 columns);

#endif
