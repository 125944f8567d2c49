/* System V shared memory and semaphores, POSIX queue notification, vectors of futexes. */
#include <linux/futex.h>
#include <linux/ipc.h>
#include <linux/mman.h>
#include <linux/sem.h>
#include <linux/shm.h>
#include <linux/limits.h>

#include "calls/call.h"
#include "calls/dispatch.h"
#include "calls/handlers.h"
#include "calls/stats.h"
#include "calls/wait.h"
#include "mm/space.h"
#include "process/thread.h"

#define ATTACHED_MAX 4096 /* SHMSEG */
#define IPC_64_FLAG 0x100
#define PROT_RW (PROT_READ | PROT_WRITE)

/* Attached segments of this address space. A fork copies it with the memory that it describes. */
static struct {
    struct lock lock;
    struct {
        gva_t start;
        u64 size;
    } segment[ATTACHED_MAX];
} attached;

/* Returns the index of the segment at `start` (0: a free slot), or -1. With the lock held. */
static int find_segment(gva_t start) {
    int i;
    for (i = 0; i < ATTACHED_MAX; i++)
        if (attached.segment[i].start == start)
            return i;
    return -1;
}

/* Segments of huge pages are longer than they say: answered as on a host that has none set aside.
 */
long sys_shmget(struct call *call) {
    if (call->arg[2] & SHM_HUGETLB) {
        stats_refused(call->nr);
        return -ENOMEM;
    }
    return call_forward(call);
}

/* A place in the window of the segment's size, mapped for now as anonymous shared memory. */
static long reserve_segment(gva_t hint, u64 size, u32 flags) {
    int prot = flags & SHM_RDONLY ? PROT_READ : PROT_RW;
    int map = MAP_SHARED | MAP_ANONYMOUS;

    if (hint) {
        if (hint & ~PAGE_MASK) {
            if (!(flags & SHM_RND))
                return -EINVAL;
            hint = page_down(hint);
            if (!hint && (flags & SHM_REMAP))
                return -EINVAL;
        }
        map |= flags & SHM_REMAP ? MAP_FIXED : MAP_FIXED_NOREPLACE;
    } else if (flags & SHM_REMAP) {
        return -EINVAL;
    }
    hint = (gva_t)space_map(hint, size, prot, map, -1, 0, MAPPING_ANONYMOUS);
    return (long)hint == -EEXIST ? -EINVAL : (long)hint;
}

/* Puts the segment over its reservation, with other guest threads parked: they could map something
 * else there. */
static long attach_segment(int id, gva_t hint, u32 flags, int slot) {
    struct shmid64_ds state;
    long place, result = host(__NR_shmctl, id, IPC_STAT, &state);
    u64 size;

    if (result < 0)
        return result;
    size = page_up(state.shm_segsz);
    place = reserve_segment(hint, size, flags);
    if (!host_failed(place)) {
        result = host(__NR_shmat, id, window_ptr((gva_t)place), (flags & SHM_RDONLY) | SHM_REMAP);
        if (host_failed(result)) {
            space_unmap((gva_t)place, size);
            place = result;
        } else {
            /* What was attached there before was unmapped without shmdt. */
            int old = find_segment((gva_t)place);
            if (old >= 0)
                slot = old;
            attached.segment[slot].start = (gva_t)place;
            attached.segment[slot].size = size;
        }
    }
    return place;
}

long sys_shmat(struct call *call) {
    u32 flags = (u32)call->arg[2];
    long result = -ENOMEM;
    int slot;

    if (flags & SHM_EXEC) {
        stats_refused(call->nr);
        return -EACCES;
    }
    if ((s32)call->arg[0] < 0)
        return -EINVAL;
    /* Parked first: the lock is only against vfork'd processes in the same memory. */
    process_park(call->thread);
    lock_take(&attached.lock);
    slot = find_segment(0);
    if (slot >= 0)
        result = attach_segment((int)call->arg[0], call->arg[1], flags, slot);
    lock_release(&attached.lock);
    process_unpark(call->thread);
    return result;
}

/* The host's shmdt says whether the segment is still there. It leaves a hole in the window, which
 * the unmap closes before another guest thread runs. */
long sys_shmdt(struct call *call) {
    struct thread *thread = call->thread;
    long result = -EINVAL;
    int slot;

    if (!call->arg[0] || call->arg[0] >= WINDOW_SIZE || call->arg[0] & ~PAGE_MASK)
        return -EINVAL;
    process_park(thread);
    lock_take(&attached.lock);
    slot = find_segment(call->arg[0]);
    if (slot >= 0) {
        result = host(__NR_shmdt, window_ptr(call->arg[0]));
        if (result == 0)
            space_unmap(call->arg[0], attached.segment[slot].size);
        attached.segment[slot].start = 0;
    }
    lock_release(&attached.lock);
    process_unpark(thread);
    return result;
}

/* The fourth argument is a number or a pointer, as the command says. */
long sys_semctl(struct call *call) {
    u64 value = call->arg[3];

    switch ((u32)call->arg[2] & ~(u32)IPC_64_FLAG) {
    case SETVAL:
        break;
    case GETVAL:
    case GETPID:
    case GETNCNT:
    case GETZCNT:
    case IPC_RMID:
        value = 0;
        break;
    default:
        value = host_pointer(value);
        break;
    }
    return host(__NR_semctl, call->arg[0], call->arg[1], call->arg[2], value);
}

/* A relative time-out: what is left of it when the call is made again after a kick. */
long sys_semtimedop(struct call *call) {
    const struct call_entry *entry = &call_table[__NR_semtimedop];
    struct __kernel_timespec timeout;
    struct host_args args;
    long result = translate_args(call, entry, &args);

    if (!result && call->arg[3]) {
        if (get_guest(timeout, call->arg[3]))
            return -EFAULT;
        args.value[3] = (u64)&timeout;
        if (timespec_valid(&timeout))
            timeout = deadline_left(deadline_start(call->thread, timespec_ns(&timeout)));
    }
    return result ? result : make_host_call(call, entry, &args);
}

/* The kernel's struct sigevent. */
struct event {
    u64 value;
    s32 signal;
    s32 notify;
    u8 rest[48];
};
#define EVENT_THREAD 2 /* SIGEV_THREAD: a socket in `signal`, 32 bytes of cookie at `value` */
#define COOKIE_SIZE 32

long sys_mq_notify(struct call *call) {
    struct event event;
    u8 cookie[COOKIE_SIZE];

    if (!guest_fd_ok(call->arg[0]))
        return -EBADF;
    if (!call->arg[1])
        return host(__NR_mq_notify, (s32)call->arg[0], 0);
    if (get_guest(event, call->arg[1]))
        return -EFAULT;
    if (event.notify == EVENT_THREAD) {
        if (!guest_fd_ok((u64)(s64)event.signal))
            return -EBADF;
        if (get_guest(cookie, event.value))
            return -EFAULT;
        event.value = (u64)cookie;
    }
    return host(__NR_mq_notify, (s32)call->arg[0], &event);
}

long sys_futex_waitv(struct call *call) {
    struct futex_waitv *waiters;
    u64 i, count = (u32)call->arg[1];
    struct host_args args = {
        {0, count, (u32)call->arg[2], host_pointer(call->arg[3]), (u32)call->arg[4]}};

    if (!count || count > FUTEX_WAITV_MAX || !call->arg[0])
        return -EINVAL;
    waiters = scratch_take(call->thread, count * sizeof(*waiters));
    if (!waiters)
        return -ENOMEM;
    if (copy_from_guest(waiters, call->arg[0], count * sizeof(*waiters)))
        return -EFAULT;
    for (i = 0; i < count; i++)
        waiters[i].uaddr = host_pointer(waiters[i].uaddr);
    args.value[0] = (u64)waiters;
    return make_host_call(call, &call_table[__NR_futex_waitv], &args);
}
