/* program_start: from the record a monitor begins with to a program ready to run (process/load.h).
 */
#include <asm/fcntl.h>
#include <linux/errno.h>
#include <linux/mman.h>
#include <linux/prctl.h>

#include "base/host.h"
#include "base/text.h"
#include "mm/space.h"
#include "process/exec.h"
#include "process/load.h"
#include "process/program.h"
#include "process/stack.h"
#include "process/thread.h"

#define BREAK_GAP_PAGES 8192 /* the break begins at most 32 MiB after the program */

struct program_image program_image;

/* Needed while loading only. */
struct start_memory {
    struct program program, interpreter;
    struct script_line lines[SCRIPT_DEPTH_MAX + 1];
};

static void set_name(const struct exec_record *record) {
    const char *name = record->comm;
    if (!*name) {
        const char *slash = strrchr(record->exec_name, '/');
        name = slash ? slash + 1 : record->exec_name;
    }
    host(__NR_prctl, PR_SET_NAME, name, 0, 0, 0);
}

static void break_after(const struct elf_image *image, struct program_image *out) {
    u32 random = 0;
    host(__NR_getrandom, &random, sizeof(random), 0);
    out->break_start = out->base + image->high + random % BREAK_GAP_PAGES * PAGE_SIZE;
    space_set_break(out->break_start);
}

/* Maps the program and, where it names one, its loader. */
static long map_program(struct thread *thread, struct start_memory *memory, int fd,
                        struct program_image *out) {
    struct program *program = &memory->program;
    const struct elf_image *image = &program->image;
    long result = load_segments(image, program->table, program->table_count, fd,
                                space_program_base(), &out->base);
    if (result < 0)
        return result;
    out->table = image->table + out->base;
    out->table_count = program->table_count;
    out->entry = out->program_entry = image->entry + out->base;
    if (image->interp_size) {
        struct program *loader = &memory->interpreter;
        long loader_fd = program_open_interpreter(thread, program, loader);
        if (loader_fd < 0)
            return loader_fd;
        result = load_segments(&loader->image, loader->table, loader->table_count, (int)loader_fd,
                               0, &out->loader_base);
        host(__NR_close, loader_fd);
        if (result < 0)
            return result;
        out->entry = loader->image.entry + out->loader_base;
    }
    break_after(image, out);
    return 0;
}

/* The program's descriptor, at own_fd(OWN_PROGRAM) also when scripts led elsewhere. */
static long settle_program(struct thread *thread, const struct exec_record *record,
                           struct start_memory *memory, struct arguments *arguments) {
    struct process *process = thread->process;
    int fd = own_fd(OWN_PROGRAM);
    long result = record->flags & EXEC_FIRST ? exec_check(fd) : 0;
    if (result < 0)
        return result;
    result =
        program_resolve(thread, &memory->program, fd, (char *)record->exec_name, false, arguments);
    if (result < 0)
        return result;
    bool moved = result != fd;
    if (moved) {
        int placed = own_fd_place((int)result, OWN_PROGRAM);
        host(__NR_close, result);
        if (placed < 0)
            return placed;
    }
    if (moved || !record->exe_path[0]) {
        if (!program_path(fd, process->exe_path))
            memcpy(process->exe_path, record->exec_name, sizeof(process->exe_path));
    } else {
        memcpy(process->exe_path, record->exe_path, sizeof(process->exe_path));
    }
    return 0;
}

/* A copy of argv with room before it for what scripts add; only a first program can be one. */
static long copy_arguments(char **argv, struct arguments *arguments, void **block, u64 *size) {
    u64 count = 0;
    while (argv[count])
        count++;
    *size = page_up((count + 1 + ARGUMENTS_ROOM) * sizeof(char *));
    long memory =
        host(__NR_mmap, 0, *size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (host_failed(memory))
        return memory;
    *block = (void *)memory;
    arguments->room = ARGUMENTS_ROOM;
    arguments->argv = (char **)memory + ARGUMENTS_ROOM;
    memcpy(arguments->argv, argv, (count + 1) * sizeof(char *));
    return 0;
}

static long load_all(struct thread *thread, const struct exec_record *record,
                     struct start_memory *memory, struct arguments *arguments, char **envp,
                     struct program_image *out) {
    long result = settle_program(thread, record, memory, arguments);
    if (result < 0)
        return result;
    struct stack_contents contents = {
        .argv = arguments->argv,
        .envp = envp,
        .exec_name = record->exec_name,
        .limit = thread->process->rlimits[RLIMIT_STACK].rlim_cur,
        .executable = memory->program.image.exec_stack,
    };
    u64 size = stack_size(&contents);
    space_set_stack_size(size);
    result = map_program(thread, memory, own_fd(OWN_PROGRAM), out);
    return result < 0 ? result : stack_build(&contents, size, out);
}

static const char *plain_reason(long error) {
    switch (error) {
    case -EACCES:
        return "permission denied";
    case -ENOMEM:
        return "not enough memory or address space";
    case -E2BIG:
        return "arguments and environment are too long";
    case -ELOOP:
        return "too many scripts that run scripts";
    case -EEXIST:
        return "its fixed address is taken";
    case -ENOENT:
        return "no such file or directory";
    default:
        return "it cannot be loaded";
    }
}

int program_start(struct thread *thread, const struct exec_record *record, char **argv, char **envp,
                  struct program_image *out) {
    *out = (struct program_image){0};
    static char *no_argv[] = {"", NULL};
    if (!argv[0])
        argv = no_argv;
    set_name(record);
    void *block = NULL;
    u64 block_size = 0;
    long memory = host(__NR_mmap, 0, sizeof(struct start_memory), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (host_failed(memory))
        return (int)memory;
    struct start_memory *start = (struct start_memory *)memory;
    struct arguments arguments = {.argv = argv, .room = 0, .lines = start->lines};
    long result = 0;
    if (record->flags & EXEC_FIRST)
        result = copy_arguments(argv, &arguments, &block, &block_size);
    struct own_fd_limit saved;
    own_fd_limit_raise(&saved); /* a guest may have used up every number below */
    if (result == 0)
        result = load_all(thread, record, start, &arguments, envp, out);
    own_fd_limit_restore(&saved);
    if (result < 0) {
        const char *found = start->program.reason;
        format(out->reason, sizeof(out->reason), "%s", *found ? found : plain_reason(result));
    }
    host(__NR_munmap, memory, sizeof(struct start_memory));
    if (block)
        host(__NR_munmap, block, block_size);
    if (result == 0)
        program_image = *out;
    return (int)result;
}
