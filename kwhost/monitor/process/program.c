/* See process/program.h. */
#include "process/program.h"

#include <asm/siginfo.h>
#include <asm/signal.h>
#include <asm/stat.h>
#include <linux/fcntl.h>
#include <linux/stat.h>

#include "base/host.h"
#include "base/text.h"
#include "procfs/procfs.h"
#include "process/permit.h"
#include "process/exec.h"

#define X_OK 1
/* A FIFO or terminal must neither block nor be taken: its type is looked at after opening. */
#define OPEN_PROGRAM (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

/* The errors of opening what can never be executed, as execve reports them. */
static long map_open_error(long error) {
    return error == -ENXIO || error == -ENODEV ? -EACCES : error;
}

static long open_in_procfs(struct thread *thread, int dirfd, const char *path, bool follow,
                           long otherwise) {
    char *inside = thread->path[1];
    if (!procfs_claims(thread, dirfd, path, follow, inside))
        return otherwise;
    return procfs_open_program(thread, inside);
}

static long open_path(struct thread *thread, int dirfd, const char *path, int flags) {
    bool follow = !(flags & O_NOFOLLOW);
    if (procfs_may_start_in(thread, dirfd, path)) {
        long fd = open_in_procfs(thread, dirfd, path, follow, -ENXIO);
        if (fd != -ENXIO)
            return fd;
    }
    long fd = host(__NR_openat, dirfd, path, OPEN_PROGRAM | flags, 0);
    if (fd == -EACCES || (fd == -ENOENT && (exec_flags() & EXEC_PROC_UNSEALED)))
        fd = open_in_procfs(thread, dirfd, path, follow, fd);
    return fd;
}

/* Linux does not execute what someone has open for writing. Neither does it give read leases on
 * that; where there are none to be had (files of others, some file systems) writers go unnoticed.
 */
static bool is_being_written(int fd) {
    /* A writer that opens the file just now makes the kernel send this; programs ignore it. */
    host(__NR_fcntl, fd, F_SETSIG, SIGURG);
    long result = host(__NR_fcntl, fd, F_SETLEASE, F_RDLCK);
    if (result == 0)
        host(__NR_fcntl, fd, F_SETLEASE, F_UNLCK);
    return result == -EAGAIN;
}

static long permit_program(struct thread *thread, int fd) {
    static const struct kw_policy_verdict unknown = {.action = KW_POLICY_ERRNO, .error = EACCES};
    char path[PATH_MAX];
    if (likely(!policy_looks_for(KW_POLICY_LOOKS_PATH)))
        return 0;
    if ((exec_flags() & EXEC_CHROOTED) || !program_path(fd, path))
        return permit(thread, unknown, "");
    return permit(thread, judge_path(path, KW_POLICY_EXECUTE), path);
}

/* Checks a descriptor, closing it when it is refused. `own`: nobody else shares its open file. */
static long checked(struct thread *thread, long fd, bool own) {
    if (fd < 0)
        return map_open_error(fd);
    long result = exec_check((int)fd);
    if (result == 0)
        result = permit_program(thread, (int)fd);
    if (result == 0 && own && is_being_written((int)fd))
        result = -ETXTBSY;
    if (result == 0)
        return fd;
    host(__NR_close, fd);
    return result;
}

long exec_open(struct thread *thread, int dirfd, const char *path, int flags) {
    return checked(thread, open_path(thread, dirfd, path, flags), true);
}

/* The name of an own descriptor inside the procfs at own_fd(OWN_PROC). */
static void name_in_procfs(int fd, char name[64]) {
    format(name, 64, "thread-self/fd/%d", fd);
}

long exec_open_fd(struct thread *thread, int fd) {
    long flags = host(__NR_fcntl, fd, F_GETFL, 0);
    if (flags < 0)
        return flags;
    if ((flags & (O_ACCMODE | O_PATH)) == O_RDONLY)
        return checked(thread, host(__NR_fcntl, fd, F_DUPFD_CLOEXEC, 0), false);
    char name[64];
    name_in_procfs(fd, name);
    return checked(thread, host(__NR_openat, own_fd(OWN_PROC), name, OPEN_PROGRAM, 0), true);
}

bool program_path(int fd, char path[PATH_MAX]) {
    char name[64];
    name_in_procfs(fd, name);
    long length = host(__NR_readlinkat, own_fd(OWN_PROC), name, path, PATH_MAX - 1);
    if (length <= 0)
        return false;
    path[length] = 0;
    return true;
}

long exec_check(int fd) {
    struct stat status;
    long result = host(__NR_fstat, fd, &status);
    if (result < 0)
        return result;
    if (!S_ISREG(status.st_mode))
        return -EACCES;
    /* Also refuses files on file systems mounted noexec, and root a file with no x bit at all. */
    return host(__NR_faccessat2, fd, "", X_OK, AT_EACCESS | AT_EMPTY_PATH);
}

/* Reads exactly `size` bytes. A file shorter than it was is -EIO, as for Linux's loader. */
static long read_exactly(int fd, void *to, u64 size, u64 offset) {
    for (u64 done = 0; done < size;) {
        long got = host(__NR_pread64, fd, (u8 *)to + done, size - done, offset + done);
        if (got == -EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? got : -EIO;
        done += (u64)got;
    }
    return 0;
}

static long read_head(struct program *program, int fd) {
    struct stat status;
    long result = host(__NR_fstat, fd, &status);
    if (result < 0)
        return result;
    program->file_size = (u64)status.st_size;
    program->head_size = min_u64(program->file_size, sizeof(program->head));
    memset(program->head, 0, SCRIPT_HEAD); /* a short script is parsed with zeros behind it */
    return read_exactly(fd, program->head, program->head_size, 0);
}

/* As read_exactly, from the head where it holds the part. */
static long read_part(const struct program *program, int fd, void *to, u64 size, u64 offset) {
    if (size > program->head_size || offset > program->head_size - size)
        return read_exactly(fd, to, size, offset);
    memcpy(to, program->head + offset, size);
    return 0;
}

static long refuse(struct program *program, enum elf_problem problem) {
    const char *text = elf_problem_text(problem);
    if (problem == ELF_FOREIGN)
        format(program->reason, sizeof(program->reason), "%s (%s)", text,
               elf_machine_name(program->head));
    else
        format(program->reason, sizeof(program->reason), "%s", text);
    return -ENOEXEC;
}

/* Checks the file whose head was read as an ELF program and reads its interpreter's path. */
static long inspect(struct program *program, int fd) {
    enum elf_problem problem =
        elf_check_header(program->head, program->head_size, program->file_size);
    if (problem != ELF_GOOD)
        return refuse(program, problem);
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)program->head;
    long result = read_part(program, fd, program->table, header->e_phnum * sizeof(Elf64_Phdr),
                            header->e_phoff);
    if (result < 0)
        return result == -EIO ? refuse(program, ELF_TRUNCATED) : result;
    program->table_count = header->e_phnum;
    problem = elf_check_table(header, program->table, program->file_size, &program->image);
    if (problem != ELF_GOOD)
        return refuse(program, problem);
    program->interpreter[0] = 0;
    if (program->image.interp_size == 0)
        return 0;
    result = read_part(program, fd, program->interpreter, program->image.interp_size,
                       program->image.interp_offset);
    if (result < 0)
        return result;
    problem = elf_check_interpreter(program->interpreter, program->image.interp_size);
    return problem == ELF_GOOD ? 0 : refuse(program, problem);
}

/* One script: its line becomes arguments, its interpreter is opened into *fd. */
static long follow_script(struct thread *thread, struct program *program, char *path, bool hidden,
                          struct arguments *arguments, struct script_line *line, int *fd) {
    if (arguments->room < 2)
        return -ELOOP;
    long result = script_parse(line, program->head, program->head_size);
    if (result < 0) {
        format(program->reason, sizeof(program->reason), "script without an interpreter");
        return result;
    }
    if (hidden)
        return -ENOENT;
    arguments->argv = script_arguments(arguments->argv, line, path);
    arguments->room -= line->argument ? 2 : 1;
    result = exec_open(thread, AT_FDCWD, line->interpreter, 0);
    if (result >= 0) {
        *fd = (int)result;
        return 0;
    }
    format(program->reason, sizeof(program->reason), "its interpreter %.64s %s", line->interpreter,
           result == -ENOENT ? "does not exist" : "cannot be executed");
    return result;
}

long program_resolve(struct thread *thread, struct program *program, int fd, char *path,
                     bool hidden, struct arguments *arguments) {
    program->reason[0] = 0;
    for (u32 depth = 0;; depth++) {
        long result = depth > SCRIPT_DEPTH_MAX ? -ELOOP : read_head(program, fd);
        if (result == 0 && !is_script(program->head, program->head_size)) {
            result = inspect(program, fd);
            if (result == 0)
                return fd;
        }
        struct script_line *line = &arguments->lines[depth];
        int next = -1;
        if (result == 0)
            result = follow_script(thread, program, path, hidden, arguments, line, &next);
        host(__NR_close, fd);
        if (result < 0)
            return result;
        fd = next;
        path = line->interpreter;
    }
}

long program_open_interpreter(struct thread *thread, struct program *program,
                              struct program *interpreter) {
    long fd = exec_open(thread, AT_FDCWD, program->interpreter, 0);
    long result = fd < 0 ? fd : read_head(interpreter, (int)fd);
    if (result == 0 && interpreter->file_size < sizeof(Elf64_Ehdr))
        result = -EIO;
    if (result == 0) {
        result = inspect(interpreter, (int)fd);
        if (result == -ENOEXEC)
            result = -ELIBBAD;
    }
    if (result == 0)
        return fd;
    format(program->reason, sizeof(program->reason), "its loader %.64s %s%s", program->interpreter,
           result == -ENOENT ? "does not exist" : "cannot be used",
           result == -ELIBBAD ? ": it is no program for this processor" : "");
    if (fd >= 0)
        host(__NR_close, fd);
    return result;
}
