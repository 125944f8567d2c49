/* Checking ELF program files. Pure functions over copies: no input or output, no memory of their
 * own, every value in header and table taken as hostile. What passes can be mapped without any
 * further check of its numbers. */
#ifndef KW_PROCESS_ELF_H
#define KW_PROCESS_ELF_H

#include <linux/elf.h>

#include "base/types.h"

#define ELF_ADDRESS_BITS 46          /* the guest's address space (mm/window.h) */
#define ELF_LOWEST_ADDRESS 0x10000ul /* vm.mmap_min_addr as Linux sets it */
#define ELF_TABLE_BYTES 65536ul      /* the largest program header table, as for Linux */
#define ELF_TABLE_ENTRIES (ELF_TABLE_BYTES / sizeof(Elf64_Phdr))
#define ELF_ALIGN_MAX (1ul << 40) /* nothing larger could be honoured */

enum elf_problem {
    ELF_GOOD,
    ELF_NOT_ELF,
    ELF_TRUNCATED,
    ELF_32_BIT,
    ELF_FOREIGN, /* elf_machine_name says which processor */
    ELF_NOT_PROGRAM,
    ELF_BAD_TABLE,
    ELF_NO_SEGMENT,
    ELF_BAD_SEGMENT,
    ELF_BAD_ADDRESS,
    ELF_LOW_ADDRESS,
    ELF_BAD_INTERPRETER,
};

/* What loading needs to know besides the table itself. Addresses are those in the file. */
struct elf_image {
    gva_t low, high; /* span of all loadable segments, page-aligned outwards */
    gva_t entry;
    gva_t table;       /* where the program header table gets loaded; 0: nowhere */
    u64 align;         /* largest alignment asked for, a power of two, at least a page */
    u64 interp_offset; /* path of the program interpreter in the file */
    u64 interp_size;   /* with its NUL; 0: there is none */
    bool fixed;        /* ET_EXEC: the addresses are final */
    bool exec_stack;   /* PT_GNU_STACK asks for an executable stack */
};

/* Checks a file's header, of which `have` bytes were read. When it is good the table lies inside
 * the file and has at most ELF_TABLE_BYTES. */
enum elf_problem elf_check_header(const void *header, u64 have, u64 file_size);

/* Checks the e_phnum entries of `table` of a file whose header is good, and describes it. */
enum elf_problem elf_check_table(const Elf64_Ehdr *header, const Elf64_Phdr *table, u64 file_size,
                                 struct elf_image *image);

/* Checks the interpreter's path as read from the file. */
enum elf_problem elf_check_interpreter(const char *path, u64 size);

/* A short text for people, a part of a sentence. */
const char *elf_problem_text(enum elf_problem problem);

/* The processor a header (at least 20 bytes) is made for. */
const char *elf_machine_name(const void *header);

#endif
