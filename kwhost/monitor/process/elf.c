/* See elf.h. The rules are those of Linux's loader; where Linux would begin and then kill the
 * program (a segment outside the file or the address space) the file is refused instead. */
#include "process/elf.h"

#include <linux/limits.h>

#define ELF_ADDRESS_LIMIT (1ul << ELF_ADDRESS_BITS)
#define IDENT_AND_MACHINE 20 /* bytes up to and with e_machine, the same in all classes */

static u16 machine_of(const u8 *header) {
    if (header[EI_DATA] == ELFDATA2MSB)
        return (u16)(header[18] << 8 | header[19]);
    return (u16)(header[19] << 8 | header[18]);
}

static enum elf_problem check_ident(const u8 *bytes, u64 have) {
    if (have < SELFMAG || bytes[0] != ELFMAG0 || bytes[1] != ELFMAG1 || bytes[2] != ELFMAG2 ||
        bytes[3] != ELFMAG3)
        return ELF_NOT_ELF;
    if (have < IDENT_AND_MACHINE)
        return ELF_TRUNCATED;
    u16 machine = machine_of(bytes);
    if (machine != EM_X86_64 && machine != EM_386)
        return ELF_FOREIGN;
    if (bytes[EI_CLASS] == ELFCLASS32 || machine == EM_386)
        return ELF_32_BIT;
    if (bytes[EI_CLASS] != ELFCLASS64 || bytes[EI_DATA] != ELFDATA2LSB)
        return ELF_FOREIGN;
    return ELF_GOOD;
}

enum elf_problem elf_check_header(const void *header, u64 have, u64 file_size) {
    enum elf_problem problem = check_ident(header, have);
    if (problem != ELF_GOOD)
        return problem;
    if (have < sizeof(Elf64_Ehdr))
        return ELF_TRUNCATED;
    const Elf64_Ehdr *elf = header;
    if (elf->e_type != ET_EXEC && elf->e_type != ET_DYN)
        return ELF_NOT_PROGRAM;
    u64 table_size = (u64)elf->e_phnum * sizeof(Elf64_Phdr);
    if (elf->e_phentsize != sizeof(Elf64_Phdr) || table_size == 0 || table_size > ELF_TABLE_BYTES)
        return ELF_BAD_TABLE;
    if (elf->e_phoff > file_size || table_size > file_size - elf->e_phoff)
        return ELF_TRUNCATED;
    if (elf->e_entry >= ELF_ADDRESS_LIMIT)
        return ELF_BAD_ADDRESS;
    return ELF_GOOD;
}

/* One PT_LOAD entry that takes up memory. */
static enum elf_problem check_segment(const Elf64_Phdr *segment, u64 file_size) {
    u64 address = segment->p_vaddr;
    if (segment->p_filesz > segment->p_memsz)
        return ELF_BAD_SEGMENT;
    if (address >= ELF_ADDRESS_LIMIT || segment->p_memsz > ELF_ADDRESS_LIMIT - address)
        return ELF_BAD_ADDRESS;
    if (segment->p_filesz == 0)
        return ELF_GOOD;
    if ((segment->p_offset ^ address) & ~PAGE_MASK)
        return ELF_BAD_SEGMENT;
    /* Bytes past the end of the file read as zero up to the end of its last page, and not beyond.
     */
    u64 readable = page_up(file_size);
    if (segment->p_offset >= readable || segment->p_filesz > readable - segment->p_offset)
        return ELF_TRUNCATED;
    return ELF_GOOD;
}

static enum elf_problem add_segment(const Elf64_Ehdr *header, const Elf64_Phdr *segment,
                                    u64 file_size, struct elf_image *image) {
    if (segment->p_memsz == 0 && segment->p_filesz == 0)
        return ELF_GOOD;
    enum elf_problem problem = check_segment(segment, file_size);
    if (problem != ELF_GOOD)
        return problem;
    u64 align = segment->p_align;
    if (align && (align & (align - 1)) == 0) { /* others are ignored, as by Linux */
        if (align > ELF_ALIGN_MAX)
            return ELF_BAD_SEGMENT;
        image->align = max_u64(image->align, align);
    }
    image->low = min_u64(image->low, page_down(segment->p_vaddr));
    image->high = max_u64(image->high, page_up(segment->p_vaddr + segment->p_memsz));
    if (header->e_phoff >= segment->p_offset &&
        header->e_phoff - segment->p_offset < segment->p_filesz)
        image->table = header->e_phoff - segment->p_offset + segment->p_vaddr;
    return ELF_GOOD;
}

static enum elf_problem add_interpreter(const Elf64_Phdr *entry, u64 file_size,
                                        struct elf_image *image) {
    if (image->interp_size) /* only the first counts */
        return ELF_GOOD;
    if (entry->p_filesz < 2 || entry->p_filesz > PATH_MAX)
        return ELF_BAD_INTERPRETER;
    if (entry->p_offset > file_size || entry->p_filesz > file_size - entry->p_offset)
        return ELF_TRUNCATED;
    image->interp_offset = entry->p_offset;
    image->interp_size = entry->p_filesz;
    return ELF_GOOD;
}

enum elf_problem elf_check_table(const Elf64_Ehdr *header, const Elf64_Phdr *table, u64 file_size,
                                 struct elf_image *image) {
    *image = (struct elf_image){.low = ~0ul,
                                .entry = header->e_entry,
                                .align = PAGE_SIZE,
                                .fixed = header->e_type == ET_EXEC};
    for (u32 i = 0; i < header->e_phnum; i++) {
        enum elf_problem problem = ELF_GOOD;
        if (table[i].p_type == PT_LOAD)
            problem = add_segment(header, &table[i], file_size, image);
        else if (table[i].p_type == PT_INTERP)
            problem = add_interpreter(&table[i], file_size, image);
        else if (table[i].p_type == PT_GNU_STACK)
            image->exec_stack = table[i].p_flags & PF_X;
        if (problem != ELF_GOOD)
            return problem;
    }
    if (image->high == 0)
        return ELF_NO_SEGMENT;
    if (image->fixed && image->low < ELF_LOWEST_ADDRESS)
        return ELF_LOW_ADDRESS;
    return ELF_GOOD;
}

enum elf_problem elf_check_interpreter(const char *path, u64 size) {
    if (size < 2 || size > PATH_MAX || path[size - 1] != 0 || path[0] == 0)
        return ELF_BAD_INTERPRETER;
    return ELF_GOOD;
}

const char *elf_problem_text(enum elf_problem problem) {
    static const char *const text[] = {
        [ELF_GOOD] = "a good program",
        [ELF_NOT_ELF] = "neither an ELF program nor a #! script",
        [ELF_TRUNCATED] = "truncated ELF file",
        [ELF_32_BIT] = "32-bit program",
        [ELF_FOREIGN] = "program for another processor",
        [ELF_NOT_PROGRAM] = "ELF file, but not a program (object file or core dump)",
        [ELF_BAD_TABLE] = "ELF file with a bad program header table",
        [ELF_NO_SEGMENT] = "ELF file with nothing to load",
        [ELF_BAD_SEGMENT] = "ELF file with a bad segment",
        [ELF_BAD_ADDRESS] = "ELF file with an address out of range",
        [ELF_LOW_ADDRESS] = "ELF file that wants addresses below 64 KiB",
        [ELF_BAD_INTERPRETER] = "ELF file with a bad interpreter path",
    };
    return (u32)problem < array_size(text) ? text[problem] : "bad ELF file";
}

const char *elf_machine_name(const void *header) {
    static const struct {
        u16 machine;
        const char *name;
    } names[] = {
        {EM_SPARC, "sparc"},
        {EM_SPARCV9, "sparc64"},
        {EM_386, "i386"},
        {EM_68K, "m68k"},
        {EM_MIPS, "mips"},
        {EM_PARISC, "hppa"},
        {EM_PPC, "powerpc"},
        {EM_PPC64, "ppc64"},
        {EM_S390, "s390x"},
        {EM_ARM, "arm"},
        {EM_SH, "sh"},
        {EM_IA_64, "ia64"},
        {EM_X86_64, "x86-64"},
        {EM_AARCH64, "aarch64"},
        {EM_RISCV, "riscv"},
        {EM_BPF, "bpf"},
        {EM_LOONGARCH, "loongarch"},
    };
    u16 machine = machine_of(header);
    for (u32 i = 0; i < array_size(names); i++)
        if (names[i].machine == machine)
            return names[i].name;
    return "unknown";
}
