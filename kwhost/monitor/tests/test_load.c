/* link: tests/fake_space.c tests/fake_thread.c process/elf.c process/script.c process/program.c
 * process/load.c process/stack.c process/image.c process/record.c base/accounts.c base/own_fd.c */
/* Loads real programs of the build machine into a fake space and compares with their files. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/auxvec.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own_fd.h"
#include "check.h"
#include "fake_space.h"
#include "fake_thread.h"
#include "process/exec.h"
#include "process/load.h"
#include "process/program.h"

static struct exec_record record;
static struct program_image image;
static u64 stack_limit = 8 << 20;
static char *environment[] = {"A=1", "PATH=/bin", NULL};
static char folder[] = "/tmp/kwhost-test-load.XXXXXX";

static int start(const char *path, char **argv, u32 flags) {
    fake_space_clear();
    memset(&record, 0, sizeof(record));
    record.flags = flags;
    snprintf(record.exec_name, sizeof(record.exec_name), "%s", path);
    fake_stack_limit(stack_limit);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    own_fd_place(fd, OWN_PROGRAM);
    close(fd);
    return program_start(fake_thread(), &record, argv, environment, &image);
}

static u64 auxv_value(u64 type) {
    u64 *auxv = fake_ptr(image.auxv);
    for (u64 i = 0; i < image.auxv_size / 8; i += 2)
        if (auxv[i] == type)
            return auxv[i + 1];
    return ~0ul;
}

/* Every loadable byte of the file is where it belongs, and what is not in the file is zero. */
static void check_segments(const char *path) {
    int fd = open(path, O_RDONLY);
    struct stat status;
    fstat(fd, &status);
    u8 *file = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)file;
    const Elf64_Phdr *table = (const Elf64_Phdr *)(file + header->e_phoff);
    for (u32 i = 0; i < header->e_phnum; i++) {
        if (table[i].p_type != PT_LOAD)
            continue;
        const u8 *memory = fake_ptr(image.base + table[i].p_vaddr);
        CHECK(memcmp(memory, file + table[i].p_offset, table[i].p_filesz) == 0);
        u64 strange = 0;
        for (u64 at = table[i].p_filesz; at < table[i].p_memsz; at++)
            strange += memory[at] != 0;
        CHECK_EQUAL(0, strange);
    }
    CHECK_EQUAL(header->e_entry + image.base, auxv_value(AT_ENTRY));
    CHECK_EQUAL(header->e_phnum, auxv_value(AT_PHNUM));
    CHECK(memcmp(fake_ptr(auxv_value(AT_PHDR)), table, header->e_phnum * sizeof(*table)) == 0);
    munmap(file, (size_t)status.st_size);
}

static void check_stack(char **argv, const char *name) {
    u64 *words = fake_ptr(image.stack_pointer);
    CHECK_EQUAL(0, image.stack_pointer & 15);
    u64 count = 0;
    while (argv[count])
        count++;
    CHECK_EQUAL(count, *words++);
    gva_t place = image.arguments;
    for (u64 i = 0; i < count; i++) {
        CHECK_EQUAL(place, *words);
        CHECK_TEXT(argv[i], fake_ptr(*words));
        place += strlen(argv[i]) + 1;
        words++;
    }
    CHECK_EQUAL(0, *words++);
    CHECK_EQUAL(image.arguments_end, place);
    for (u32 i = 0; environment[i]; i++)
        CHECK_TEXT(environment[i], fake_ptr(*words++));
    CHECK_EQUAL(0, *words++);
    CHECK_EQUAL(image.auxv, (u64)words - FAKE_BASE);
    CHECK_TEXT(name, fake_ptr(auxv_value(AT_EXECFN)));
    CHECK_TEXT("x86_64", fake_ptr(auxv_value(AT_PLATFORM)));
    CHECK_EQUAL(FAKE_STACK_TOP - 8, auxv_value(AT_EXECFN) + strlen(name) + 1);
    CHECK_EQUAL(getuid(), auxv_value(AT_UID));
    CHECK_EQUAL(4096, auxv_value(AT_PAGESZ));
    CHECK_EQUAL(FAKE_VDSO, auxv_value(AT_SYSINFO_EHDR));
    CHECK_EQUAL(0, auxv_value(AT_SECURE));
    CHECK(image.stack_high - image.stack_low >= stack_limit);
    CHECK(image.stack_pointer - image.stack_low > 120 << 10);
    CHECK(auxv_value(AT_RANDOM) > image.stack_pointer && auxv_value(AT_RANDOM) < image.arguments);
}

static void test_real_programs(void) {
    static const char *const paths[] = {"/bin/true",           "/bin/busybox",
                                        "/usr/bin/python3.11", "/usr/bin/node",
                                        "/usr/bin/gcc",        "/lib64/ld-linux-x86-64.so.2",
                                        "/proc/self/exe"};
    for (u32 i = 0; i < array_size(paths); i++) {
        char *argv[] = {(char *)paths[i], "one", "", "three", NULL};
        if (access(paths[i], X_OK))
            continue;
        printf("# %s\n", paths[i]);
        CHECK_EQUAL(0, start(paths[i], argv, EXEC_FIRST));
        check_segments(paths[i]);
        check_stack(argv, paths[i]);
        CHECK(fake_break > image.base && fake_break == image.break_start);
        CHECK_EQUAL(auxv_value(AT_BASE), image.loader_base);
        CHECK((image.loader_base == 0) == (image.entry == image.program_entry));
        CHECK_EQUAL(0, start(paths[i], argv, 0));
    }
}

static const char *write_file(const char *name, const void *content, u64 size, int mode) {
    static char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0700);
    if (write(fd, content, size) != (ssize_t)size)
        abort();
    fchmod(fd, (mode_t)mode);
    close(fd);
    return path;
}

static void test_script(void) {
    char text[300], name[16] = "";
    snprintf(text, sizeof(text), "#!/bin/busybox sh -x\n");
    char path[256];
    strcpy(path, write_file("hello.sh", text, strlen(text), 0755));
    char *argv[] = {"zero", "one", NULL};
    CHECK_EQUAL(0, start(path, argv, EXEC_FIRST));
    char *expected[] = {"/bin/busybox", "sh -x", path, "one", NULL};
    check_stack(expected, path);
    char real[PATH_MAX];
    CHECK_TEXT(realpath("/bin/busybox", real), fake_exe_path());
    prctl(PR_GET_NAME, name);
    CHECK_TEXT("hello.sh", name);
    CHECK_TEXT("zero", argv[0]);
    CHECK_EQUAL(-ELOOP, start(path, argv, 0)); /* execve has resolved scripts before */

    write_file("plain", text, strlen(text), 0644);
    snprintf(path, sizeof(path), "%s/plain", folder);
    CHECK_EQUAL(-EACCES, start(path, argv, EXEC_FIRST));
    CHECK_TEXT("permission denied", image.reason);
    strcpy(path, write_file("lost.sh", "#!/no/such/shell\n", 17, 0755));
    CHECK_EQUAL(-ENOENT, start(path, argv, EXEC_FIRST));
    CHECK_TEXT("its interpreter /no/such/shell does not exist", image.reason);
}

/* Six scripts in a row are one too many; five are not. */
static void test_nested_scripts(void) {
    char path[256] = "/bin/busybox", text[300];
    char *argv[] = {"zero", NULL};
    for (int depth = 1; depth <= SCRIPT_DEPTH_MAX + 1; depth++) {
        char name[16];
        snprintf(text, sizeof(text), "#!%s x\n", path);
        snprintf(name, sizeof(name), "nested%d", depth);
        strcpy(path, write_file(name, text, strlen(text), 0755));
        CHECK_EQUAL(depth <= SCRIPT_DEPTH_MAX ? 0 : -ELOOP, start(path, argv, EXEC_FIRST));
    }
}

static void test_bad_files(void) {
    char *argv[] = {"zero", NULL};
    CHECK_EQUAL(-EACCES, start("/tmp", argv, EXEC_FIRST));
    CHECK_EQUAL(-EACCES, start("/dev/null", argv, EXEC_FIRST));
    CHECK_EQUAL(-ENOEXEC, start(write_file("empty", "", 0, 0755), argv, EXEC_FIRST));
    CHECK_EQUAL(-ENOEXEC, start(write_file("text", "echo hi\n", 8, 0755), argv, EXEC_FIRST));
    CHECK_TEXT("neither an ELF program nor a #! script", image.reason);
    CHECK_EQUAL(-ENOEXEC, start(write_file("hash", "#!\n", 3, 0755), argv, EXEC_FIRST));
}

/* A real program, cut off or damaged at every interesting place: an error or a success, never
 * worse. */
static void test_damaged_program(void) {
    static _Alignas(8) u8 original[1 << 20], copy[sizeof(original)];
    char *argv[] = {"zero", NULL};
    int fd = open("/bin/true", O_RDONLY);
    u64 size = (u64)read(fd, original, sizeof(original));
    close(fd);
    CHECK(size > 4096 && size < sizeof(original));
    /* Behind the last segment lie only section headers, which nobody needs. */
    u64 needed = 0;
    const Elf64_Phdr *table = (const Elf64_Phdr *)(original + sizeof(Elf64_Ehdr));
    for (u32 i = 0; i < ((const Elf64_Ehdr *)original)->e_phnum; i++)
        if (table[i].p_type == PT_LOAD && table[i].p_filesz)
            needed = max_u64(needed, page_down(table[i].p_offset + table[i].p_filesz - 1));
    for (u64 cut = 1; cut <= needed; cut += cut < 1200 ? 7 : 1777)
        CHECK_EQUAL(-ENOEXEC, start(write_file("cut", original, cut, 0755), argv, EXEC_FIRST));
    CHECK_TEXT("truncated ELF file", image.reason);
    srandom(1);
    for (int round = 0; round < 1000; round++) {
        memcpy(copy, original, size);
        for (int i = random() % 4; i >= 0; i--)
            copy[random() % (64 + 13 * 56)] = (u8)(random() & random());
        int result = start(write_file("damaged", copy, size, 0755), argv, EXEC_FIRST);
        if (result != 0 && !image.reason[0])
            CHECK(!"an error without a reason");
    }
}

static void test_foreign_programs(void) {
    char *argv[] = {"zero", NULL};
    Elf64_Ehdr header = {.e_type = ET_EXEC, .e_machine = EM_AARCH64};
    memcpy(header.e_ident, "\177ELF\2\1\1", 7);
    CHECK_EQUAL(-ENOEXEC,
                start(write_file("arm", &header, sizeof(header), 0755), argv, EXEC_FIRST));
    CHECK_TEXT("program for another processor (aarch64)", image.reason);
    header.e_ident[EI_CLASS] = ELFCLASS32;
    header.e_machine = EM_386;
    CHECK_EQUAL(-ENOEXEC,
                start(write_file("old", &header, sizeof(header), 0755), argv, EXEC_FIRST));
    CHECK_TEXT("32-bit program", image.reason);
}

static void test_large_arguments(void) {
    static char *argv[20001];
    static char text[] = "an argument of some length, given many times over";
    for (u32 i = 0; i < 20000; i++)
        argv[i] = text;
    stack_limit = 1 << 16;
    CHECK_EQUAL(0, start("/bin/true", argv, EXEC_FIRST));
    check_stack(argv, "/bin/true");
    stack_limit = 8 << 20;
}

static void test_record(void) {
    static struct exec_record left, taken;
    left.guest_mask = 5;
    strcpy(left.exec_name, "/bin/x");
    exec_flags_add(EXEC_RING3 | EXEC_FIRST);
    CHECK_EQUAL(EXEC_RING3, exec_flags());
    CHECK_EQUAL(0, exec_record_leave(&left));
    CHECK_EQUAL(0, exec_record_take(&taken));
    CHECK_EQUAL(5, taken.guest_mask);
    CHECK_EQUAL(EXEC_RING3, taken.flags);
    CHECK_TEXT("/bin/x", taken.exec_name);
    CHECK_EQUAL(-EBADF, exec_record_take(&taken));
    int fd = open("/dev/null", O_RDONLY);
    own_fd_place(fd, OWN_RECORD);
    CHECK_EQUAL(-EINVAL, exec_record_take(&taken));
    int moved = own_fd_move(fd);
    CHECK(moved >= own_fd(OWN_FIRST_VARIABLE));
    CHECK_EQUAL(FD_CLOEXEC, fcntl(moved, F_GETFD));
    CHECK_EQUAL(-1, fcntl(fd, F_GETFD));
    close(moved);
}

int main(void) {
    if (!mkdtemp(folder))
        return 1;
    int proc = open("/proc", O_RDONLY | O_DIRECTORY);
    own_fd_place(proc, OWN_PROC);
    close(proc);
    test_real_programs();
    test_script();
    test_nested_scripts();
    test_bad_files();
    test_damaged_program();
    test_foreign_programs();
    test_large_arguments();
    test_record();
    char command[64];
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command) | check_done();
}
