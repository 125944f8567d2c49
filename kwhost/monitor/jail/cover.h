/* Putting something harmless over what an instance is not to see or change. */
#ifndef KW_JAIL_COVER_H
#define KW_JAIL_COVER_H

/* Covers what stands at `target` in the root, if anything does, with something empty that nobody
 * can read. Returns 0 or a negative errno. */
long cover(int root, const char *target);

/* Has it, if it is there, and all below it, for reading only. Returns 0 or a negative errno. */
long cover_for_reading(int root, const char *target);

#endif
