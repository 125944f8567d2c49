/* Undoing a changed root directory. */
#ifndef KW_JAIL_CHROOT_H
#define KW_JAIL_CHROOT_H

#include <stdbool.h>

/* The kernel makes no user namespace for a process whose root directory is not the root of its
 * mount namespace (after chroot, as in some rescue systems and virtual machines). As host root this
 * moves the process into a mount namespace of its own, whose root is what it saw as root before.
 * Returns false when that was not the matter or cannot be done. */
bool chroot_leave(void);

#endif
