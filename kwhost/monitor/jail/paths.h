/* Paths inside a root that may be hostile: nothing outside of `root` is ever reached, whatever
 * symbolic links lie in it and whoever changes them meanwhile. */
#ifndef KW_JAIL_PATHS_H
#define KW_JAIL_PATHS_H

#include "base/types.h"

/* Opens `path` as if `root` were the root directory; symbolic links are followed inside it. Returns
 * a descriptor (closed on exec) or a negative errno. `flags` as for open(2). */
long inside_open(int root, const char *path, u64 flags, u32 mode);

/* Makes the directory and all above it that are missing, the last one with `mode`. `path` must be
 * absolute, without "." and "..". Returns an O_PATH descriptor or a negative errno. */
long inside_make_directory(int root, const char *path, u32 mode);

/* Makes the directories above the last name of `path`: returns a descriptor of the innermost, and
 * the last name. */
long inside_make_parent(int root, const char *path, const char **name);

/* Opens, for its place alone (O_PATH), what lies beneath the present root and no symbolic link
 * leads to; a link as the last name is opened itself. Returns a descriptor or a negative errno. */
long open_plainly(const char *path);

#endif
