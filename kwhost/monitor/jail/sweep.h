/* What is left of an instance without namespaces (KW_LAUNCH_BARE) whose supervise and keeper were
 * both killed: `kwhost-monitor sweep SCRATCH DIRECTORY`. */
#ifndef KW_JAIL_SWEEP_H
#define KW_JAIL_SWEEP_H

/* Ends all processes of the instance that writes in `scratch`, and removes that directory, which is
 * `directory` outside of the instance's root. As host root or the user whose instance it was. */
_Noreturn void sweep_main(const char *scratch, const char *directory);

#endif
