/* What the forwarder and its relays may do to files. */
#ifndef FORWARD_FILES_H
#define FORWARD_FILES_H

/* Landlock rules, where the kernel has them: to execute this program, to remove files beneath a
 * directory, and nothing else; no port can be bound, and no other process sent a signal to. Needs
 * no_new_privs. Returns 0 or a negative errno. */
int files_restrict(int directory);

#endif
