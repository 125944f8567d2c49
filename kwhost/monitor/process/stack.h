/* The initial stack of a program: arguments, environment and auxiliary vector, laid out as Linux
 * does. */
#ifndef KW_PROCESS_STACK_H
#define KW_PROCESS_STACK_H

#include "process/load.h"

/* What goes onto the stack besides what struct program_image already holds (base, loader_base,
 * program_entry, table, table_count). All strings are host memory. */
struct stack_contents {
    char **argv, **envp;
    const char *exec_name;
    u64 limit; /* the guest's soft RLIMIT_STACK */
    bool executable;
};

/* Ids of this process as the kernel told when it began; set by main. */
struct start_ids {
    u32 uid, euid, gid, egid;
};
extern struct start_ids start_ids;

/* Bytes to set aside for the stack: by the limit, within bounds, and enough for the contents. */
u64 stack_size(const struct stack_contents *contents);

/* Maps a stack of `size` bytes below space_stack_top, fills it, and sets stack_pointer and the
 * places of its parts in *image. Returns 0 or a negative errno. */
long stack_build(const struct stack_contents *contents, u64 size, struct program_image *image);

#endif
