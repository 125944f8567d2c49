/* Process 1 of an instance started with --init. */
#ifndef KW_JAIL_INIT_H
#define KW_JAIL_INIT_H

/* Reaps every process of the instance, passes signals on to the program (process `child`), and ends
 * with its status, 128 plus the signal when a signal ended it. The caller holds no descriptors. */
_Noreturn void init_main(int child);

#endif
