/* The process that stands between a command and its instance, outside of the jail. */
#ifndef KW_JAIL_SUPERVISE_H
#define KW_JAIL_SUPERVISE_H

/* Starts the instance that the launch record behind `record_fd` describes, passes its input and
 * output on, obeys the control socket, and reports how it ended. Holds no state that the instance
 * could reach. */
_Noreturn void supervise_main(int record_fd, int self);

#endif
