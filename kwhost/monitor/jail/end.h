/* How an instance ended, for whoever wants to know now or later. */
#ifndef KW_JAIL_END_H
#define KW_JAIL_END_H

struct supervisor;

/* Leaves the exit record, then tells everybody. Nothing of the instance runs any more. */
void end_report(struct supervisor *supervisor);

#endif
