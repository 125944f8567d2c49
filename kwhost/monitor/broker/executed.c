#include "broker/executed.h"

#include <linux/fcntl.h>

#include "base/text.h"
#include "broker/paths.h"
#include "jail/kernel.h"
#include "jail/program.h"
#include "policy/learn.h"
#include "process/elf.h"
#include "process/script.h"

bool executed_is_learnt(const struct broker_request *request) {
    return learning() && (request->nr == __NR_execve || request->nr == __NR_execveat);
}

/* Notes what is held, and opens it for reading; what cannot be read says nothing of others. */
static long note(int object) {
    char real[PATH_MAX], name[HELD_SIZE];
    if (path_real(object, real) < 0)
        return -ENOENT;
    judge_path(real, KW_POLICY_EXECUTE); /* which notes what it permits */
    path_held(object, name);
    return host(__NR_openat, AT_FDCWD, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0);
}

static long note_path(const struct caller *caller, int dirfd, const char *path) {
    static struct target target;
    if (!*path) {
        long object = caller_descriptor(caller, dirfd);
        long result = object < 0 ? object : note((int)object);
        if (object >= 0)
            host(__NR_close, object);
        return result;
    }
    long result = path_find(caller, dirfd, path, END_FOLLOWED, &target);
    if (result)
        return result;
    result = target.object < 0 ? -ENOENT : note(target.object);
    path_close(&target);
    return result;
}

/* The program interpreter of an ELF file. False: there is none. */
static bool find_loader(int fd, const Elf64_Ehdr *header, u64 have, char path[PATH_MAX]) {
    static Elf64_Phdr table[ELF_TABLE_ENTRIES];
    struct elf_image image;
    struct statx file;
    if (host_stat(fd, "", AT_EMPTY_PATH, &file) < 0 ||
        elf_check_header(header, have, file.stx_size) != ELF_GOOD)
        return false;
    u64 size = header->e_phnum * sizeof *table;
    if (host(__NR_pread64, fd, table, size, header->e_phoff) != (long)size ||
        elf_check_table(header, table, file.stx_size, &image) != ELF_GOOD || !image.interp_size)
        return false;
    return host(__NR_pread64, fd, path, image.interp_size, image.interp_offset) ==
               (long)image.interp_size &&
           elf_check_interpreter(path, image.interp_size) == ELF_GOOD;
}

/* The file that the kernel executes beside this one. False: there is none. */
static bool find_next(int fd, char path[PATH_MAX]) {
    _Alignas(Elf64_Ehdr) char head[SCRIPT_HEAD];
    struct script_line line;
    long have = host(__NR_pread64, fd, head, sizeof head, 0);
    if (have <= 0)
        return false;
    if (!is_script(head, (u64)have))
        return find_loader(fd, (const Elf64_Ehdr *)head, (u64)have, path);
    if (script_parse(&line, head, (u64)have))
        return false;
    format(path, PATH_MAX, "%s", line.interpreter);
    return true;
}

/* The files beside the one that is open, which is closed. */
static void learn_chain(const struct caller *caller, long fd) {
    static char path[PATH_MAX];
    for (u32 depth = 0; fd >= 0 && depth <= SCRIPT_DEPTH_MAX; depth++) {
        bool more = find_next((int)fd, path);
        host(__NR_close, fd);
        fd = more ? note_path(caller, AT_FDCWD, path) : -ENOENT;
    }
    if (fd >= 0)
        host(__NR_close, fd);
}

static long note_named(const struct caller *caller) {
    static char path[PATH_MAX];
    const struct broker_request *request = caller->request;
    u32 at = request->nr == __NR_execveat;
    long result = caller_string(caller, request->arg[at], path, sizeof path);
    return result < 0 ? result : note_path(caller, at ? (int)request->arg[0] : AT_FDCWD, path);
}

static long note_first(const struct launch *launch) {
    char name[PATH_MAX];
    struct failure failure;
    int fd = -ENOENT;
    if (host(__NR_chdir, launch->workdir) >= 0)
        fd = program_open(launch, name, &failure);
    host(__NR_fchdir, broker_procfs);
    long result = fd < 0 ? fd : note(fd);
    if (fd >= 0)
        host(__NR_close, fd);
    return result;
}

void executed_learn(const struct broker_request *request, const struct launch *begins) {
    static struct caller caller;
    if (caller_take(&caller, request) >= 0)
        learn_chain(&caller, begins ? note_first(begins) : note_named(&caller));
    caller_leave(&caller);
}
