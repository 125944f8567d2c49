/* execve and execveat: the monitor checks everything it can while the old program still stands,
 * leaves a record, and executes itself anew; the next monitor loads the program (process/image.c).
 */
#include "process/exec.h"

#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/resource.h>
#include <linux/sched.h>

#include "base/host.h"
#include "base/own_fd.h"
#include "base/text.h"
#include "calls/handlers.h"
#include "mm/window.h"
#include "process/exec_strings.h"
#include "process/program.h"
#include "process/robust.h"
#include "process/signal.h"
#include "process/thread.h"

#ifndef AT_EXECVE_CHECK
#define AT_EXECVE_CHECK 0x10000 /* Linux 6.14: only say whether it would be allowed */
#endif
#define EXEC_FLAGS (AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_EXECVE_CHECK)
/* Arguments up to this size always pass the host's own check, a quarter of its stack limit. */
#define ARGUMENTS_SMALL (1ul << 20)
#define HOST_STACK_FOR_ARGUMENTS (32ul << 20)

struct request {
    int dirfd;
    gva_t path, argv, envp;
    u32 flags;
    bool unnamed;  /* by descriptor alone: the path is empty */
    bool relative; /* the descriptor counts: the path does not begin at the root or working
                      directory */
};

/* Everything an execve needs, in one mapping; pointers and strings follow the structure. */
struct exec_memory {
    u64 size;
    char **argv, **envp;
    u64 text_used;
    struct arguments arguments;
    struct script_line lines[SCRIPT_DEPTH_MAX + 1];
    struct exec_record record;
    struct program program, loader;
};

void exec_memory_free(struct thread *thread) {
    struct exec_memory *memory = thread->exec_memory;
    thread->exec_memory = NULL;
    if (memory)
        host(__NR_munmap, memory, memory->size);
}

static long allocate(struct thread *thread, u64 limit) {
    u64 pointers = (ARGUMENTS_ROOM + 4) * sizeof(char *) + limit;
    u64 size = page_up(sizeof(struct exec_memory) + pointers + limit);
    long memory = host(__NR_mmap, 0, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (host_failed(memory))
        return memory;
    thread->exec_memory = (void *)memory;
    ((struct exec_memory *)memory)->size = size;
    return 0;
}

/* Copies argv and envp; an empty argv becomes one empty string, as since Linux 5.18. */
static long copy_arguments(struct exec_memory *memory, const struct request *request, u64 limit) {
    static char empty[1];
    char **slots = (char **)(memory + 1);
    u64 name = strlen(memory->record.exec_name) + 1;
    struct exec_strings strings = {
        .pointers = slots + ARGUMENTS_ROOM,
        .text = (char *)(slots + ARGUMENTS_ROOM + 4) + limit,
        .left = limit - name,
    };
    char *text = strings.text;
    long result = exec_strings_copy(&strings, request->argv, &memory->argv);
    if (result < 0)
        return result;
    if (!memory->argv[0]) {
        memory->argv[0] = empty;
        *strings.pointers++ = NULL;
    }
    result = exec_strings_copy(&strings, request->envp, &memory->envp);
    memory->text_used = (u64)(strings.text - text);
    memory->arguments = (struct arguments){memory->argv, ARGUMENTS_ROOM, memory->lines};
    return result;
}

/* AT_EXECFN, from which the thread's name is taken too. */
static long name_program(struct exec_memory *memory, const struct request *request,
                         const char *path) {
    char *name = memory->record.exec_name;
    u64 size = sizeof(memory->record.exec_name);
    int length;
    if (!request->relative)
        length = format(name, size, "%s", path);
    else if (request->unnamed)
        length = format(name, size, "/dev/fd/%d", request->dirfd);
    else
        length = format(name, size, "/dev/fd/%d/%s", request->dirfd, path);
    return length < (int)size ? 0 : -ENAMETOOLONG;
}

/* Opens the requested file and checks that it may be executed. Returns its descriptor. */
static long open_requested(struct thread *thread, const struct request *request, const char *path) {
    if (!request->unnamed)
        return exec_open(thread, request->relative ? request->dirfd : AT_FDCWD, path,
                         request->flags & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0);
    return request->relative ? exec_open_fd(thread, request->dirfd) : -EACCES;
}

/* Follows scripts and looks at the loader, so that what is missing is reported to the caller. Owns
 * `fd`; returns the program's descriptor. */
static long resolve(struct thread *thread, struct exec_memory *memory,
                    const struct request *request, int fd) {
    bool hidden = request->relative && (host(__NR_fcntl, request->dirfd, F_GETFD, 0) & FD_CLOEXEC);
    long program = program_resolve(thread, &memory->program, fd, memory->record.exec_name, hidden,
                                   &memory->arguments);
    if (program < 0 || !memory->program.image.interp_size)
        return program;
    long loader = program_open_interpreter(thread, &memory->program, &memory->loader);
    if (loader < 0) {
        host(__NR_close, program);
        return loader;
    }
    host(__NR_close, loader);
    return program;
}

/* All that can fail before anything changes. Returns the program's descriptor. */
static long prepare(struct thread *thread, const struct request *request, u64 limit) {
    struct exec_memory *memory = thread->exec_memory;
    long result = name_program(memory, request, thread->path[0]);
    if (result < 0)
        return result;
    long fd = open_requested(thread, request, thread->path[0]);
    if (fd < 0)
        return fd;
    result = copy_arguments(memory, request, limit);
    if (result < 0) {
        host(__NR_close, fd);
        return result;
    }
    return resolve(thread, memory, request, (int)fd);
}

/* A program executed by descriptor alone is named after its file. */
static void name_thread(struct exec_record *record) {
    static const char gone[] = " (deleted)";
    const char *slash = strrchr(record->exe_path, '/');
    const char *name = slash ? slash + 1 : record->exe_path;
    u64 length = strlen(name), suffix = sizeof(gone) - 1;
    if (length > suffix && !strcmp(name + length - suffix, gone))
        length -= suffix;
    format(record->comm, sizeof(record->comm), "%.*s", (int)length, name);
}

static void fill_record(struct thread *thread, const struct request *request,
                        struct exec_record *record, int fd) {
    struct process *process = thread->process;
    for (u32 i = 0; i < array_size(record->rlimits); i++) {
        record->rlimits[i][0] = process->rlimits[i].rlim_cur;
        record->rlimits[i][1] = process->rlimits[i].rlim_max;
    }
    record->flags = process->cwd_in_proc ? EXEC_CWD_IN_PROC : 0;
    record->guest_mask = thread->guest_mask;
    record->dumpable = 1; /* an exec makes it so again */
    if (!program_path(fd, record->exe_path))
        memcpy(record->exe_path, record->exec_name, sizeof(record->exe_path));
    if (request->unnamed)
        name_thread(record);
}

/* The host's own limit on arguments follows its stack limit, which guests do not see. */
static void make_room_for_arguments(const struct exec_memory *memory) {
    struct rlimit64 limit;
    if (memory->text_used < ARGUMENTS_SMALL ||
        host(__NR_prlimit64, 0, RLIMIT_STACK, 0, &limit) < 0 ||
        limit.rlim_cur >= HOST_STACK_FOR_ARGUMENTS)
        return;
    limit.rlim_cur = min_u64(HOST_STACK_FOR_ARGUMENTS, limit.rlim_max);
    host(__NR_prlimit64, 0, RLIMIT_STACK, &limit, 0);
}

/* Futexes held in shared memory pass to their next owners: no thread of the program lives on. */
static void release_robust(struct process *process) {
    lock_take(&process->threads_lock);
    for (struct thread *each = process->threads; each; each = each->next)
        robust_release(each);
    lock_release(&process->threads_lock);
}

/* Becomes the next monitor. All signals are held: what arrives from here on stays pending for the
 * next monitor, and what was caught already has to be delivered to the old program first. */
static long execute(struct thread *thread, const struct exec_memory *memory) {
    long result = -ERESTARTNOINTR;
    if (signal_exec_hold(thread) && !(thread->work & (THREAD_EXIT | THREAD_KILL))) {
        release_robust(thread->process);
        result = host(__NR_execveat, own_fd(OWN_SELF), own_path, memory->arguments.argv,
                      memory->envp, AT_EMPTY_PATH);
    }
    signal_exec_failed(thread);
    return result;
}

/* Puts record and program where the next monitor looks for them, keeping the old program in
 * reserve. Owns `fd`. */
static long hand_over(struct thread *thread, const struct request *request,
                      struct exec_memory *memory, int fd) {
    /* With a descriptor table shared by clone(CLONE_VM | CLONE_VFORK | CLONE_FILES) the slots would
     * be the parent's too. */
    long result = thread->process->vforked ? host(__NR_unshare, CLONE_FILES) : 0;
    fill_record(thread, request, &memory->record, fd);
    if (result == 0)
        result = own_fd_place(own_fd(OWN_PROGRAM), OWN_SCRIPT);
    if (result == 0)
        result = exec_record_leave(&memory->record);
    if (result == 0)
        result = own_fd_place(fd, OWN_PROGRAM);
    host(__NR_close, fd);
    return result;
}

static void take_back(void) {
    own_fd_place(own_fd(OWN_SCRIPT), OWN_PROGRAM);
    host(__NR_close, own_fd(OWN_SCRIPT));
    host(__NR_close, own_fd(OWN_RECORD));
}

/* While no other thread of the process runs. Returns only when the old program goes on. */
static long exec_alone(struct thread *thread, const struct request *request, u64 limit) {
    struct exec_memory *memory = thread->exec_memory;
    struct own_fd_limit saved;
    own_fd_limit_raise(&saved); /* execve works on Linux with every descriptor number in use */
    long fd = prepare(thread, request, limit);
    long result = fd < 0 ? fd : hand_over(thread, request, memory, (int)fd);
    own_fd_limit_restore(&saved);
    if (result == 0) {
        make_room_for_arguments(memory);
        result = execute(thread, memory);
    }
    if (fd >= 0)
        take_back();
    return result;
}

/* AT_EXECVE_CHECK: whether the file itself may be executed, whatever it holds. */
static long check_alone(struct thread *thread, const struct request *request) {
    struct own_fd_limit saved;
    own_fd_limit_raise(&saved);
    long fd = open_requested(thread, request, thread->path[0]);
    own_fd_limit_restore(&saved);
    if (fd < 0)
        return fd;
    host(__NR_close, fd);
    return 0;
}

static long execute_request(struct thread *thread, struct request *request) {
    const char *path = thread->path[0];
    long result = copy_string_from_guest(thread->path[0], request->path, PATH_MAX);
    if (result < 0)
        return result;
    request->unnamed = path[0] == 0;
    request->relative = path[0] != '/' && request->dirfd != AT_FDCWD;
    if (request->unnamed && !(request->flags & AT_EMPTY_PATH))
        return -ENOENT;
    if (request->relative && !guest_fd_ok((u64)request->dirfd))
        return -EBADF;
    u64 limit = exec_strings_limit(thread->process->rlimits[RLIMIT_STACK].rlim_cur);
    result = allocate(thread, limit);
    if (result < 0)
        return result;
    /* Nobody else may use descriptors while theirs and ours are made and moved. */
    bool alone = thread->process->thread_count <= 1;
    if (!alone)
        process_park(thread);
    if (request->flags & AT_EXECVE_CHECK)
        result = check_alone(thread, request);
    else
        result = exec_alone(thread, request, limit);
    if (!alone)
        process_unpark(thread);
    exec_memory_free(thread);
    return result;
}

long sys_execve(struct call *call) {
    struct request request = {
        .dirfd = AT_FDCWD, .path = call->arg[0], .argv = call->arg[1], .envp = call->arg[2]};
    return execute_request(call->thread, &request);
}

long sys_execveat(struct call *call) {
    struct request request = {.dirfd = (int)call->arg[0],
                              .path = call->arg[1],
                              .argv = call->arg[2],
                              .envp = call->arg[3],
                              .flags = (u32)call->arg[4]};
    if (request.flags & ~(u32)EXEC_FLAGS)
        return -EINVAL;
    return execute_request(call->thread, &request);
}
