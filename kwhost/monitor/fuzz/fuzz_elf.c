/* link: process/elf.c process/script.c */
/* The checks of program files against anything: what passes must be safe to map without more
 * checks. */
#include <stdlib.h>
#include <string.h>

#include "process/elf.h"
#include "process/script.h"

#define LIMIT (1ul << ELF_ADDRESS_BITS)

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void require(bool good) {
    if (!good)
        abort();
}

static void check_promises(const Elf64_Phdr *table, u32 count, u64 file_size,
                           const struct elf_image *image) {
    require(image->low < image->high && image->high <= LIMIT);
    require(((image->low | image->high) & ~PAGE_MASK) == 0);
    require(image->align >= PAGE_SIZE && (image->align & (image->align - 1)) == 0);
    require(!image->fixed || image->low >= ELF_LOWEST_ADDRESS);
    require(image->interp_size == 0 || image->interp_offset + image->interp_size <= file_size);
    for (u32 i = 0; i < count; i++) {
        const Elf64_Phdr *segment = &table[i];
        if (segment->p_type != PT_LOAD || (segment->p_memsz == 0 && segment->p_filesz == 0))
            continue;
        require(segment->p_vaddr >= image->low && segment->p_filesz <= segment->p_memsz);
        require(segment->p_vaddr + segment->p_memsz <= image->high);
        if (segment->p_filesz == 0)
            continue;
        require(((segment->p_vaddr ^ segment->p_offset) & ~PAGE_MASK) == 0);
        require(segment->p_offset + segment->p_filesz <= page_up(file_size));
    }
}

static void try_script(const u8 *data, size_t size) {
    struct script_line line;
    if (!is_script(data, size) || script_parse(&line, data, size) != 0)
        return;
    const char *end = line.text + SCRIPT_HEAD;
    require(line.interpreter >= line.text + 2 && line.interpreter < end);
    require(line.interpreter + strlen(line.interpreter) < end);
    require(!line.argument || line.argument + strlen(line.argument) < end);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size) {
    static Elf64_Phdr table[ELF_TABLE_ENTRIES];
    _Alignas(16) u8 header[sizeof(Elf64_Ehdr)] = {0};
    struct elf_image image;
    try_script(data, size);
    memcpy(header, data, min_u64(size, sizeof(header)));
    if (elf_check_header(header, min_u64(size, sizeof(header)), size) != ELF_GOOD) {
        if (size >= 20)
            elf_machine_name(header);
        return 0;
    }
    const Elf64_Ehdr *elf = (const Elf64_Ehdr *)header;
    u64 bytes = elf->e_phnum * sizeof(Elf64_Phdr);
    require(bytes <= sizeof(table) && elf->e_phoff + bytes <= size);
    memcpy(table, data + elf->e_phoff, bytes);
    if (elf_check_table(elf, table, size, &image) == ELF_GOOD)
        check_promises(table, elf->e_phnum, size, &image);
    return 0;
}
