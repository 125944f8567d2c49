/* Every system call handler, declared from the table itself. Handlers named sys_X serve call X; who
 * implements which is told by the folder they lie in (mm, process, calls). */
#ifndef KW_CALLS_HANDLERS_H
#define KW_CALLS_HANDLERS_H

#include "calls/call.h"

#define CALL(nr, name, class, handler, restart, args, note) long handler(struct call *call);
#define REFUSE(nr, name, error, args, note)
#include "calls/table.def"
#undef CALL
#undef REFUSE

#endif
