/* Makers of the texts in /proc (text_maker in place.h). */
#ifndef KW_PROCFS_CONTENT_H
#define KW_PROCFS_CONTENT_H

#include "procfs/place.h"

/* Adds bytes as they are. */
void text_put(struct text *text, const void *data, u64 size);

/* The whole text of `place`, in mapped memory; content_from takes another maker than the place's
 * own. Returns 0 or a negative errno. Free with content_free. */
long content_make(const struct place *place, struct text *text);
long content_from(const struct place *place, text_maker make, struct text *text);
void content_free(struct text *text);

/* The real text (host_text_read of the place's own path). */
long make_real(const struct place *place, struct text *text);

/* status.c */
long make_stat(const struct place *place, struct text *text);
long make_status(const struct place *place, struct text *text);
long make_statm(const struct place *place, struct text *text);

/* maps.c */
long make_maps(const struct place *place, struct text *text);
long make_smaps(const struct place *place, struct text *text);
long make_smaps_rollup(const struct place *place, struct text *text);

/* memory.c */
long make_cmdline(const struct place *place, struct text *text);
long make_environ(const struct place *place, struct text *text);
long make_auxv(const struct place *place, struct text *text);

/* mounts.c */
long make_mounts(const struct place *place, struct text *text);
long make_mountinfo(const struct place *place, struct text *text);
long make_mountstats(const struct place *place, struct text *text);

/* files.c */
long make_kernel_command(const struct place *place, struct text *text);
long make_limits(const struct place *place, struct text *text);
long make_cgroup(const struct place *place, struct text *text);
long make_io(const struct place *place, struct text *text);
long make_personality(const struct place *place, struct text *text);
long make_zero(const struct place *place, struct text *text);
long make_filter(const struct place *place, struct text *text);

#endif
