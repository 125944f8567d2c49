/* New file system instances and mount attributes (fsopen(2), mount_setattr(2)). */
#ifndef KW_JAIL_FILESYSTEM_H
#define KW_JAIL_FILESYSTEM_H

#include <linux/mount.h>

#include "base/types.h"

#define FILESYSTEM_SAFE (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)
#define FILESYSTEM_LOG 160

/* Begins an instance of a file system; options are set on the returned descriptor. */
long filesystem_open(const char *type);
long filesystem_option(int context, const char *key, const char *value); /* value NULL: a flag */

/* Creates the instance and a detached mount of it, and closes `context`. On an error `log` holds
 * what the file system said about it, or "". Returns the mount's descriptor or a negative errno. */
long filesystem_mount(int context, u64 attributes, char log[FILESYSTEM_LOG]);

/* All three steps. */
long filesystem_new(const char *type, const char *options, u64 attributes,
                    char log[FILESYSTEM_LOG]);

/* Adds attributes to a mount (and with `recursive` to all below it), makes it private, and shows
 * its owners as the user namespace `ids` maps them (-1: as they are). */
long mount_change(int mount, u64 attributes, int ids, bool recursive);

/* Attaches a detached mount to the place `target` (a descriptor). */
long mount_attach(int mount, int target);

#endif
