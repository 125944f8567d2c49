/* Reading the real procfs out of the guest's reach (procfs/private.h). */
#include <linux/fcntl.h>
#include <linux/mman.h>

#include "base/host.h"
#include "process/errand.h"
#include "process/exec.h"
#include "process/thread.h"
#include "procfs/private.h"

#define TEXT_FIRST (64ul << 10)
#define TEXT_LIMIT (256ul << 20) /* of smaps with 65,530 mappings, generously */

struct private_work {
    long (*work)(void *argument);
    void *argument;
};

/* Makes room, also where the guest has used up its limit. */
static long with_empty_table(void *argument) {
    const struct private_work *private = argument;
    host(__NR_close_range, 0, own_fd_base() - 1, 0);
    return private->work(private->argument);
}

long in_private(struct thread *thread, long (*work)(void *argument), void *argument) {
    if (__atomic_load_n(&thread->process->thread_count, __ATOMIC_RELAXED) == 1) {
        /* Nobody else is there to use the number meanwhile. */
        long result = work(argument);
        if (result != -EMFILE)
            return result;
    }
    struct private_work private = {work, argument};
    return errand_run(with_empty_table, &private, false);
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
