/* Putting a program into an empty address space: its segments, its loader, break and stack. */
#ifndef KW_PROCESS_LOAD_H
#define KW_PROCESS_LOAD_H

#include "base/types.h"
#include "process/elf.h"

struct thread;
struct exec_record;
struct program;

/* What execution begins with, and where the parts lie that /proc/PID shows. */
struct program_image {
    gva_t entry;         /* first instruction: the loader's, or the program's own */
    gva_t stack_pointer; /* points at argc */
    gva_t base;          /* added to the addresses in the program's file */
    gva_t loader_base;   /* AT_BASE; 0: static */
    gva_t program_entry; /* AT_ENTRY */
    gva_t table;         /* AT_PHDR */
    u64 table_count;     /* AT_PHNUM */
    gva_t break_start;
    gva_t stack_low, stack_high;
    gva_t arguments, arguments_end;     /* argv strings (cmdline) */
    gva_t environment, environment_end; /* environ */
    gva_t auxv;
    u64 auxv_size;    /* bytes, AT_NULL included */
    char reason[160]; /* when program_start fails: why, for people */
};

/* The program of this address space; zero before program_start succeeded. */
extern struct program_image program_image;

/* Loads the program at own_fd(OWN_PROGRAM) into the empty space and builds its initial stack; also
 * process->exe_path and the thread's name. For an instance's first program this follows #! scripts
 * and checks the permission to execute; execve did so already for others. argv and envp are host
 * memory that stays as it is. Returns 0 or a negative errno with out->reason; a later program than
 * the first must then be killed, as the old one is gone. Fills program_image as well. */
int program_start(struct thread *thread, const struct exec_record *record, char **argv, char **envp,
                  struct program_image *out);

/* Maps the loadable segments of a checked image from `fd`: fixed ones where they belong, others at
 * or above `wanted`, or anywhere when that is 0. Sets *base. Returns 0 or a negative errno, with
 * some segments mapped perhaps. */
long load_segments(const struct elf_image *image, const Elf64_Phdr *table, u32 count, int fd,
                   gva_t wanted, gva_t *base);

#endif
