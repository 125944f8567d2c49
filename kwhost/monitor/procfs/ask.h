/* Asking the monitor of another process of the instance. No monitor may look into another one (they
 * are not dumpable), so what /proc shows of a process's descriptors, mappings and working directory
 * only its own monitor can tell. It is asked by a kick, and answers with a file in the tmpfs of the
 * stand-ins. Whoever asks is known by the owner of the question's file, which the kernel vouches
 * for. */
#ifndef KW_PROCFS_ASK_H
#define KW_PROCFS_ASK_H

#include "procfs/place.h"
#include "procfs/private.h"

/* Asks about `place`, which lies in another process: a text's content, a link's text, or a
 * directory's names, a line each. Returns 0 or a negative errno (-EACCES: it does not answer, being
 * stopped, say); free the answer in either case. Takes a tenth of a second at most. */
long ask(const struct place *place, struct host_text *answer);

/* The text of a link of another process. Returns its length or a negative errno. */
long ask_link(const struct place *place, char *text, u64 size);

#endif
