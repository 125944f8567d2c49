/* The Landlock rules of an instance's monitors. */
#ifndef KW_JAIL_LANDLOCK_H
#define KW_JAIL_LANDLOCK_H

/* From here on this process and all that it makes, whatever their ids and descriptors allow,
 *
 * - change files beneath the present root, in the stand-ins' file system and of standard input,
 *   output and error only: the procfs that monitors hold by descriptor is for reading;
 * - control devices beneath /dev only;
 * - execute no file that has a place in a file system: only the sealed executable is left.
 *
 * Each as far as the kernel's version knows. Returns 0, also where the kernel has no Landlock
 * (`kwhost doctor` tells), or a negative errno. Needs no_new_privs. */
long landlock_set(int standins);

#endif
