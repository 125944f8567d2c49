/* link: process/elf.c */
#include "process/elf.h"

#include <linux/limits.h>

#include "check.h"

#define FILE_SIZE 0x10000ul

/* A small program file: a good dynamic PIE, which each test then damages. */
struct sample {
    Elf64_Ehdr header;
    Elf64_Phdr table[4];
};

static struct sample good_sample(void) {
    struct sample sample = {
        .header = {.e_type = ET_DYN,
                   .e_machine = EM_X86_64,
                   .e_version = 1,
                   .e_entry = 0x1040,
                   .e_phoff = sizeof(Elf64_Ehdr),
                   .e_ehsize = sizeof(Elf64_Ehdr),
                   .e_phentsize = sizeof(Elf64_Phdr),
                   .e_phnum = 4},
        .table = {{.p_type = PT_INTERP, .p_offset = 0x318, .p_filesz = 28, .p_memsz = 28},
                  {.p_type = PT_LOAD,
                   .p_flags = PF_R | PF_X,
                   .p_filesz = 0x2100,
                   .p_memsz = 0x2100,
                   .p_align = 0x1000},
                  {.p_type = PT_LOAD,
                   .p_flags = PF_R | PF_W,
                   .p_offset = 0x2df0,
                   .p_vaddr = 0x3df0,
                   .p_filesz = 0x220,
                   .p_memsz = 0x5000,
                   .p_align = 0x1000},
                  {.p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W}},
    };
    memcpy(sample.header.e_ident, "\177ELF\2\1\1", 7);
    return sample;
}

static enum elf_problem check_sample(const struct sample *sample, struct elf_image *image) {
    enum elf_problem problem = elf_check_header(&sample->header, sizeof(*sample), FILE_SIZE);
    return problem ? problem : elf_check_table(&sample->header, sample->table, FILE_SIZE, image);
}

#define CHECK_DAMAGED(expected, change)                                                            \
    do {                                                                                           \
        struct sample s = good_sample();                                                           \
        struct elf_image image_;                                                                   \
        change;                                                                                    \
        CHECK_EQUAL(expected, check_sample(&s, &image_));                                          \
    } while (0)

static void test_good_program_is_described(void) {
    struct sample sample = good_sample();
    struct elf_image image;
    CHECK_EQUAL(ELF_GOOD, check_sample(&sample, &image));
    CHECK_EQUAL(0, image.low);
    CHECK_EQUAL(0x9000, image.high);
    CHECK_EQUAL(0x1040, image.entry);
    CHECK_EQUAL(sizeof(Elf64_Ehdr), image.table);
    CHECK_EQUAL(PAGE_SIZE, image.align);
    CHECK_EQUAL(28, image.interp_size);
    CHECK_EQUAL(0x318, image.interp_offset);
    CHECK(!image.fixed && !image.exec_stack);
}

static void test_headers(void) {
    CHECK_EQUAL(ELF_NOT_ELF, elf_check_header("", 0, 0));
    CHECK_EQUAL(ELF_NOT_ELF, elf_check_header("\177EL", 3, 3));
    CHECK_EQUAL(ELF_NOT_ELF, elf_check_header("hello world", 11, 11));
    CHECK_EQUAL(ELF_TRUNCATED, elf_check_header("\177ELF", 4, 4));
    struct sample sample = good_sample();
    for (u64 have = 4; have < sizeof(Elf64_Ehdr); have++)
        CHECK_EQUAL(ELF_TRUNCATED, elf_check_header(&sample.header, have, have));
    CHECK_DAMAGED(ELF_32_BIT, s.header.e_ident[EI_CLASS] = ELFCLASS32);
    CHECK_DAMAGED(ELF_32_BIT, s.header.e_machine = EM_386);
    CHECK_DAMAGED(ELF_FOREIGN, s.header.e_machine = EM_AARCH64);
    CHECK_DAMAGED(ELF_FOREIGN, s.header.e_ident[EI_DATA] = ELFDATA2MSB);
    CHECK_DAMAGED(ELF_FOREIGN, s.header.e_ident[EI_CLASS] = 3);
    CHECK_DAMAGED(ELF_NOT_PROGRAM, s.header.e_type = ET_REL);
    CHECK_DAMAGED(ELF_NOT_PROGRAM, s.header.e_type = ET_CORE);
    CHECK_DAMAGED(ELF_GOOD, s.header.e_ident[EI_OSABI] = 77);
    CHECK_DAMAGED(ELF_BAD_TABLE, s.header.e_phnum = 0);
    CHECK_DAMAGED(ELF_BAD_TABLE, s.header.e_phnum = ELF_TABLE_ENTRIES + 1);
    CHECK_DAMAGED(ELF_BAD_TABLE, s.header.e_phentsize = 32);
    CHECK_DAMAGED(ELF_TRUNCATED, s.header.e_phoff = FILE_SIZE - 4 * 56 + 1);
    CHECK_DAMAGED(ELF_TRUNCATED, s.header.e_phoff = ~0ul);
    CHECK_DAMAGED(ELF_BAD_ADDRESS, s.header.e_entry = 1ul << 46);
}

static void test_segments(void) {
    CHECK_DAMAGED(ELF_BAD_SEGMENT, s.table[1].p_filesz = 0x2101);
    CHECK_DAMAGED(ELF_BAD_SEGMENT, s.table[2].p_offset++);
    CHECK_DAMAGED(ELF_BAD_ADDRESS, s.table[2].p_memsz = ~0ul);
    CHECK_DAMAGED(ELF_BAD_ADDRESS, s.table[2].p_memsz = (1ul << 46) - 0x3def);
    CHECK_DAMAGED(ELF_GOOD, s.table[2].p_memsz = (1ul << 46) - 0x3df0);
    CHECK_DAMAGED(ELF_BAD_ADDRESS, s.table[2].p_vaddr = 0xffffffffffffddf0);
    CHECK_DAMAGED(ELF_TRUNCATED, s.table[2].p_offset = 0x10df0);
    CHECK_DAMAGED(ELF_TRUNCATED, s.table[2].p_offset = 0xfffffffffffffdf0);
    CHECK_DAMAGED(ELF_TRUNCATED, s.table[2].p_filesz = s.table[2].p_memsz = FILE_SIZE - 0x2df0 + 1);
    CHECK_DAMAGED(ELF_GOOD, s.table[2].p_filesz = s.table[2].p_memsz = FILE_SIZE - 0x2df0);
    CHECK_DAMAGED(ELF_GOOD, (s.table[2].p_filesz = 0, s.table[2].p_offset = ~0ul));
    CHECK_DAMAGED(ELF_GOOD, s.table[1].p_align = 12345); /* ignored, as by Linux */
    CHECK_DAMAGED(ELF_GOOD, s.table[1].p_align = 0);
    CHECK_DAMAGED(ELF_BAD_SEGMENT, s.table[1].p_align = 1ul << 63);
    CHECK_DAMAGED(ELF_NO_SEGMENT, s.table[1].p_type = s.table[2].p_type = PT_NOTE);
    CHECK_DAMAGED(ELF_NO_SEGMENT,
                  (s.table[1].p_type = PT_NOTE, s.table[2].p_filesz = s.table[2].p_memsz = 0));
    CHECK_DAMAGED(ELF_LOW_ADDRESS, s.header.e_type = ET_EXEC);
}

static void test_last_page_may_be_short(void) {
    struct sample sample = good_sample();
    struct elf_image image;
    sample.table[2].p_filesz = 0x2000; /* to 0x4df0 */
    CHECK_EQUAL(ELF_GOOD, elf_check_table(&sample.header, sample.table, 0x4001, &image));
    CHECK_EQUAL(ELF_TRUNCATED, elf_check_table(&sample.header, sample.table, 0x4000, &image));
}

static void test_order_and_size_of_segments(void) {
    struct sample sample = good_sample();
    struct elf_image image;
    Elf64_Phdr first = sample.table[1];
    sample.table[1] = sample.table[2];
    sample.table[2] = first;
    CHECK_EQUAL(ELF_GOOD, check_sample(&sample, &image));
    CHECK_EQUAL(0, image.low);
    CHECK_EQUAL(0x9000, image.high);
    sample.table[2].p_align = 2ul << 20;
    CHECK_EQUAL(ELF_GOOD, check_sample(&sample, &image));
    CHECK_EQUAL(2ul << 20, image.align);
    sample.header.e_phoff = 0x8000; /* loaded by no segment */
    CHECK_EQUAL(ELF_GOOD, check_sample(&sample, &image));
    CHECK_EQUAL(0, image.table);
}

static void test_fixed_program(void) {
    struct sample sample = good_sample();
    struct elf_image image;
    sample.header.e_type = ET_EXEC;
    sample.header.e_entry += 0x400000;
    sample.table[1].p_vaddr += 0x400000;
    sample.table[2].p_vaddr += 0x400000;
    sample.table[3].p_flags |= PF_X;
    CHECK_EQUAL(ELF_GOOD, check_sample(&sample, &image));
    CHECK(image.fixed && image.exec_stack);
    CHECK_EQUAL(0x400000, image.low);
    CHECK_EQUAL(0x400040, image.table);
}

static void test_interpreters(void) {
    CHECK_DAMAGED(ELF_BAD_INTERPRETER, s.table[0].p_filesz = 1);
    CHECK_DAMAGED(ELF_BAD_INTERPRETER, s.table[0].p_filesz = PATH_MAX + 1);
    CHECK_DAMAGED(ELF_TRUNCATED, s.table[0].p_offset = FILE_SIZE - 27);
    CHECK_DAMAGED(ELF_TRUNCATED, s.table[0].p_offset = ~0ul - 3);
    CHECK_EQUAL(ELF_GOOD, elf_check_interpreter("/lib/ld.so", 11));
    CHECK_EQUAL(ELF_BAD_INTERPRETER, elf_check_interpreter("/lib/ld.so", 10));
    CHECK_EQUAL(ELF_BAD_INTERPRETER, elf_check_interpreter("\0\0", 2));
    CHECK_EQUAL(ELF_BAD_INTERPRETER, elf_check_interpreter("", 1));
}

static void test_texts(void) {
    for (int problem = ELF_GOOD; problem <= ELF_BAD_INTERPRETER; problem++)
        CHECK(strlen(elf_problem_text(problem)) > 5);
    struct sample sample = good_sample();
    sample.header.e_machine = EM_AARCH64;
    CHECK_TEXT("aarch64", elf_machine_name(&sample.header));
    sample.header.e_ident[EI_DATA] = ELFDATA2MSB;
    sample.header.e_machine = EM_S390 << 8;
    CHECK_TEXT("s390x", elf_machine_name(&sample.header));
    sample.header.e_machine = 0xffff;
    CHECK_TEXT("unknown", elf_machine_name(&sample.header));
}

int main(void) {
    test_good_program_is_described();
    test_headers();
    test_segments();
    test_last_page_may_be_short();
    test_order_and_size_of_segments();
    test_fixed_program();
    test_interpreters();
    test_texts();
    return check_done();
}
