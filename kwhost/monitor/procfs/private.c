/* Reading the real procfs out of the guest's reach (procfs/private.h). */
#include <asm/signal.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/sched.h>

#include "base/host.h"
#include "process/exec.h"
#include "process/thread.h"
#include "procfs/private.h"

#define STACK_SIZE (64ul << 10)
#define TEXT_FIRST (64ul << 10)
#define TEXT_LIMIT (256ul << 20) /* of smaps with 65,530 mappings, generously */

struct errand {
    long (*work)(void *argument);
    void *argument;
    long result;
};

/* The thread's whole life. It shares the descriptor numbers' values only: its table is a copy. */
static void run_errand(struct errand *errand) {
    /* Makes room, also where the guest has used up its limit. */
    host(__NR_close_range, 0, own_fd_base() - 1, 0);
    errand->result = errand->work(errand->argument);
}

/* clone without CLONE_FILES. The caller sleeps until the thread is done (CLONE_VFORK), so `stack`
 * and `errand` may live in its frame. All signals are blocked in both. */
static long clone_for(struct errand *errand, u8 *stack) {
    u64 flags = CLONE_VM | CLONE_FS | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_VFORK;
    u64 *top = (u64 *)(stack + STACK_SIZE) - 2;
    top[0] = (u64)run_errand;
    top[1] = (u64)errand;

    register long r10 __asm__("r10") = 0;
    register long r8 __asm__("r8") = 0;
    long result = __NR_clone;
    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xor %%ebp, %%ebp\n\t"
                     "pop %%rax\n\t"
                     "pop %%rdi\n\t"
                     "call *%%rax\n\t"
                     "mov %[exit], %%eax\n\t"
                     "xor %%edi, %%edi\n\t"
                     "syscall\n\t"
                     "ud2\n"
                     "1:"
                     : "+a"(result)
                     : "D"(flags), "S"(top), "d"(0), "r"(r10), "r"(r8), [exit] "i"(__NR_exit)
                     : "rcx", "r11", "memory", "cc");
    return result;
}

static long run_in_thread(long (*work)(void *argument), void *argument) {
    struct errand errand = {work, argument, -EAGAIN};
    u64 all = ~0ul, saved;

    long stack =
        host(__NR_mmap, 0, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (host_failed(stack))
        return stack;
    host(__NR_rt_sigprocmask, SIG_SETMASK, &all, &saved, sizeof(saved));
    long result = clone_for(&errand, (u8 *)stack);
    host(__NR_rt_sigprocmask, SIG_SETMASK, &saved, 0, sizeof(saved));
    host(__NR_munmap, stack, STACK_SIZE);
    return result < 0 ? result : errand.result;
}

long in_private(struct thread *thread, long (*work)(void *argument), void *argument) {
    if (__atomic_load_n(&thread->process->thread_count, __ATOMIC_RELAXED) == 1) {
        /* Nobody else is there to use the number meanwhile. */
        long result = work(argument);
        if (result != -EMFILE)
            return result;
    }
    return run_in_thread(work, argument);
}

struct read_errand {
    const char *path;
    struct host_text *text;
};

static long grow(struct host_text *text) {
    u64 size = text->size ? text->size * 2 : TEXT_FIRST;
    long data;
    if (size > TEXT_LIMIT)
        return -EFBIG;
    if (text->size)
        data = host(__NR_mremap, text->data, text->size, size, MREMAP_MAYMOVE);
    else
        data = host(__NR_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (host_failed(data))
        return data;
    text->data = (char *)data;
    text->size = size;
    return 0;
}

static long read_all(int fd, u64 limit, struct host_text *text) {
    for (;;) {
        if (text->length >= limit)
            return -EFBIG;
        if (text->length + PAGE_SIZE + 1 > text->size) {
            long failed = grow(text);
            if (failed)
                return failed;
        }
        long count = host(__NR_read, fd, text->data + text->length, text->size - text->length - 1);
        if (count <= 0) {
            text->data[text->length] = 0;
            return count;
        }
        text->length += (u64)count;
    }
}

static long read_file(void *argument) {
    struct read_errand *errand = argument;
    long fd =
        host(__NR_openat, own_fd(OWN_PROC), errand->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
    if (fd < 0)
        return fd;
    errand->text->length = 0;
    long result = read_all((int)fd, TEXT_LIMIT, errand->text);
    host(__NR_close, fd);
    return result;
}

long host_text_read(struct thread *thread, const char *path, struct host_text *text) {
    struct read_errand errand = {path, text};
    *text = (struct host_text){NULL, 0, 0};
    return in_private(thread, read_file, &errand);
}

long host_text_read_from(int dirfd, const char *path, u64 limit, struct host_text *text) {
    *text = (struct host_text){NULL, 0, 0};
    long fd = host(__NR_openat, dirfd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0);
    if (fd < 0)
        return fd;
    long result = read_all((int)fd, limit, text);
    host(__NR_close, fd);
    return result;
}

void host_text_free(struct host_text *text) {
    if (text->size)
        host(__NR_munmap, text->data, text->size);
    *text = (struct host_text){NULL, 0, 0};
}
