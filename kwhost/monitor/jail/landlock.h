/* The Landlock rules of an instance's monitors. */
#ifndef KW_JAIL_LANDLOCK_H
#define KW_JAIL_LANDLOCK_H

#include <linux/landlock.h>

#include "jail/grants.h"

/* Newer than the headers of the oldest supported system: version 2. */
#define LANDLOCK_REFER (1ul << 13)

/* Also making device nodes: a program that tries gets EPERM from the capability that no instance
 * has, as in a container, rather than Landlock's EACCES. */
#define LANDLOCK_CHANGES                                                                           \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                               \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | \
     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |   \
     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_REFER)

/* From here on this process and all that it makes, whatever their ids and descriptors allow,
 *
 * - change files beneath the present root, in the stand-ins' file system and of standard input,
 *   output and error only: the procfs that monitors hold by descriptor is for reading;
 * - control devices beneath /dev only;
 * - execute no file that has a place in a file system: only the sealed executable is left;
 * - open no file that the ceiling does not grant (jail/grants.h); NULL: as if it granted all.
 *
 * Each as far as the kernel's version knows. Returns 0, also where the kernel has no Landlock
 * (`kwhost doctor` tells), or a negative errno. Needs no_new_privs. */
long landlock_set(const struct kw_ceiling *ceiling, const struct grants_own *own);

/* Likewise for a program without a monitor: it executes what lies beneath the present root as well,
 * and holds nothing beyond. Without TCP it binds and connects to no TCP address, whatever its
 * filter lets pass: where a policy has rules on addresses the broker does that for it. */
long landlock_set_program(const struct kw_ceiling *ceiling, bool without_tcp);

/* What this kernel's knows; a negative errno: it has none. */
long landlock_version(void);

/* Adds a rule to a set of them: rights on the object and, of a directory, on all beneath it. */
long landlock_allow(int rules, int fd, u64 rights);
long landlock_allow_stream(int rules, int fd, u64 rights);

#endif
