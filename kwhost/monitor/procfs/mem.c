/* /proc/self/mem: reading and writing the program's own memory at guest addresses. Its descriptor
 * is a stand-in of directory kind, on which the host refuses reads and writes (EISDIR, EBADF) but
 * keeps a file position: only calls that failed so come here, and all others cost nothing. */
#include <linux/limits.h>

#include "base/host.h"
#include "mm/window.h"
#include "process/thread.h"
#include "procfs/place.h"
#include "procfs/procfs.h"
#include "procfs/standin.h"

#define SEEK_SET 0
#define SEEK_CUR 1

struct transfer {
    gva_t buffer, address;
    u64 size;
    bool to_memory;
    u8 *bounce; /* a page */
};

/* Moves up to a page. Returns 0, -EFAULT (the caller's buffer) or -EIO (the memory looked at). */
static long move_part(const struct transfer *transfer, u64 done, u64 part) {
    gva_t buffer = transfer->buffer + done, address = transfer->address + done;
    if (!window_range_ok(address, part) || !address)
        return -EIO;
    if (transfer->to_memory) {
        if (copy_from_guest(transfer->bounce, buffer, part))
            return -EFAULT;
        return copy_to_guest(address, transfer->bounce, part) ? -EIO : 0;
    }
    if (copy_from_guest(transfer->bounce, address, part))
        return -EIO;
    return copy_to_guest(buffer, transfer->bounce, part) ? -EFAULT : 0;
}

/* As Linux: what was moved before the first unusable page counts. */
static long move_all(const struct transfer *transfer) {
    u64 done = 0, size = min_u64(transfer->size, 0x7ffff000);
    while (done < size) {
        u64 to_page_end = PAGE_SIZE - ((transfer->address + done) & (PAGE_SIZE - 1));
        u64 part = min_u64(size - done, to_page_end);
        long failed = move_part(transfer, done, part);
        if (failed)
            return done ? (long)done : failed;
        done += part;
    }
    return (long)done;
}

static bool is_memory(struct thread *thread, u64 fd, struct place *place, char *inside) {
    return guest_fd_ok(fd) && (s32)fd >= 0 && standin_path((int)fd, inside) &&
           !place_find(thread, inside, place) && place->entry->kind == PLACE_MEMORY;
}

long procfs_memory_call(struct call *call, long result) {
    struct place place;
    char inside[PATH_MAX];
    const u64 *arg = call->arg;
    bool positioned = call->nr == __NR_pread64 || call->nr == __NR_pwrite64;
    bool to_memory = call->nr == __NR_write || call->nr == __NR_pwrite64;
    if (!positioned && !to_memory && call->nr != __NR_read)
        return result;
    if (!is_memory(call->thread, arg[0], &place, inside))
        return result;
    if (!place.own)
        return -EIO; /* inherited from a process with a memory of its own */
    long position = positioned ? (long)arg[3] : host(__NR_lseek, (s32)arg[0], 0, SEEK_CUR);
    struct transfer transfer = {arg[1], (gva_t)position, arg[2], to_memory, NULL};
    transfer.bounce = scratch_take(call->thread, PAGE_SIZE);
    if (position < 0 || !transfer.bounce)
        return position < 0 ? -EINVAL : -ENOMEM;
    long moved = move_all(&transfer);
    if (moved > 0 && !positioned)
        host(__NR_lseek, (s32)arg[0], position + moved, SEEK_SET);
    return moved;
}
