/* From a path or descriptor to a file that can be loaded: opening under the guest's path rules, the
 * permission to execute, the chain of #! scripts, the program interpreter. Used by execve, which
 * wants every error before it gives up the old program, and by the loader itself. */
#ifndef KW_PROCESS_PROGRAM_H
#define KW_PROCESS_PROGRAM_H

#include <linux/limits.h>

#include "process/elf.h"
#include "process/script.h"

struct thread;

/* An inspected ELF file. About 80 KiB, of which little is touched: keep it in mapped memory. */
struct program {
    struct elf_image image;
    u64 file_size;
    u64 head_size; /* bytes of `head` that came from the file */
    u16 table_count;
    char interpreter[PATH_MAX]; /* "" for a static program */
    _Alignas(16) u8 head[PAGE_SIZE];
    Elf64_Phdr table[ELF_TABLE_ENTRIES];
    char reason[128]; /* after an error: what was wrong, for people */
};

/* Arguments under construction: scripts put more in front. Strings are not copied. */
struct arguments {
    char **argv;               /* NULL-terminated, at least one entry */
    u32 room;                  /* free slots before argv[0] */
    struct script_line *lines; /* SCRIPT_DEPTH_MAX + 1, live as long as argv */
};
#define ARGUMENTS_ROOM (2 * (SCRIPT_DEPTH_MAX + 1))

/* Opens `path` for execution as openat would with `flags` (O_NOFOLLOW or 0), by the procfs module
 * where it leads there, and checks that it can be executed (exec_check, and -ETXTBSY as far as that
 * can be known). Returns a close-on-exec descriptor open for reading, or a negative errno. */
long exec_open(struct thread *thread, int dirfd, const char *path, int flags);

/* The same for the file that the guest's descriptor `fd` stands for, whatever mode it has. */
long exec_open_fd(struct thread *thread, int fd);

/* 0 when `fd` is a regular file that this thread may execute; -EACCES or another error. */
long exec_check(int fd);

/* Follows scripts from the checked file `fd` (named `path` to its interpreter) to the ELF program,
 * which is checked and described in *program, its interpreter's path read but not looked up. Owns
 * `fd`: it is closed on error and when a script led elsewhere. Returns the ELF file's descriptor or
 * a negative errno. `hidden`: the path does not exist after execve (-ENOENT for a script). */
long program_resolve(struct thread *thread, struct program *program, int fd, char *path,
                     bool hidden, struct arguments *arguments);

/* Opens and checks the interpreter that `program` names. Returns its descriptor, or a negative
 * errno with the reason in `program`. */
long program_open_interpreter(struct thread *thread, struct program *program,
                              struct program *interpreter);

/* The path of an open file as the guest sees it. False when it cannot be told. */
bool program_path(int fd, char path[PATH_MAX]);

#endif
