/* Threads: their records, parking, and their end. */
#include "process/thread.h"

#include <linux/errno.h>
#include <linux/futex.h>
#include <linux/mman.h>
#include <linux/resource.h>

#include "base/accounts.h"
#include "base/host.h"
#include "base/report.h"
#include "base/text.h"
#include "machine/machine.h"
#include "mm/space.h"
#include "process/question.h"
#include "process/robust.h"
#include "process/signal.h"
#include "procfs/procfs.h"
#include "procfs/table.h"

/* One mapping per thread: a guard page, the host stack, the record, its buffers. */
#define STACK_SIZE (64ul << 10)
#define RECORD_AT (PAGE_SIZE + STACK_SIZE)
#define RECORD_SIZE page_up(sizeof(struct thread))
#define BUFFERS_AT (RECORD_AT + RECORD_SIZE)
#define BLOCK_SIZE (BUFFERS_AT + 2 * PATH_MAX + SCRATCH_SIZE + QUESTIONS_SIZE)

/* Records of threads that have ended: free once the kernel has cleared `tid`. Guarded by dead_lock.
 */
static struct lock dead_lock;
static struct thread *dead;

static struct thread *take_dead(void) {
    lock_take(&dead_lock);
    struct thread **link = &dead;
    while (*link && __atomic_load_n(&(*link)->tid, __ATOMIC_ACQUIRE) != 0)
        link = &(*link)->next;
    struct thread *thread = *link;
    if (thread)
        *link = thread->next;
    lock_release(&dead_lock);
    return thread;
}

struct thread *thread_new(struct process *process) {
    /* The first record, for which there are no locks yet, finds no old one. */
    struct thread *old = __atomic_load_n(&dead, __ATOMIC_RELAXED) ? take_dead() : NULL;
    u8 *block = old ? old->block : NULL;
    if (!block) {
        long at = host(__NR_mmap, 0, BLOCK_SIZE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (host_failed(at))
            return NULL;
        block = (u8 *)at;
        host(__NR_mprotect, block, PAGE_SIZE, PROT_NONE);
    }
    struct thread *thread = (struct thread *)(block + RECORD_AT);
    memset(thread, 0, sizeof *thread);
    thread->process = process;
    thread->block = block;
    thread->path[0] = (char *)block + BUFFERS_AT;
    thread->path[1] = thread->path[0] + PATH_MAX;
    thread->scratch = (u8 *)thread->path[1] + PATH_MAX;
    thread->questions = (struct kw_policy_question *)(thread->scratch + SCRATCH_SIZE);
    thread->altstack_flags = 2; /* SS_DISABLE */
    return thread;
}

void *thread_stack_top(struct thread *thread) {
    return (u8 *)thread->block + RECORD_AT;
}

void thread_free(struct thread *thread) {
    lock_take(&dead_lock);
    thread->next = dead;
    dead = thread;
    lock_release(&dead_lock);
}

void thread_set_current(struct thread *thread) {
    lock_holder_start(&thread->holder, (u32)thread->kernel_tid);
}

u64 thread_link(struct thread *thread) {
    struct process *process = thread->process;
    lock_take(&process->threads_lock);
    thread->next = process->threads;
    process->threads = thread;
    process->thread_count++;
    if (process->parking)
        __atomic_or_fetch(&thread->work, THREAD_PARK, __ATOMIC_SEQ_CST);
    u64 serial = thread->serial = ++process->next_serial;
    lock_release(&process->threads_lock);
    return serial;
}

void thread_set_tid(struct process *process, u64 serial, int tid) {
    lock_take(&process->threads_lock);
    for (struct thread *thread = process->threads; thread; thread = thread->next)
        if (thread->serial == serial)
            thread->kernel_tid = tid;
    lock_release(&process->threads_lock);
}

static void futex_wait(u32 *word, u32 value) {
    host(__NR_futex, word, FUTEX_WAIT_PRIVATE, value, 0);
}

static void futex_wake(u32 *word) {
    host(__NR_futex, word, FUTEX_WAKE_PRIVATE, 0x7fffffff);
}

void thread_unlink(struct thread *thread) {
    struct process *process = thread->process;
    lock_take(&process->threads_lock);
    struct thread **link = &process->threads;
    while (*link && *link != thread)
        link = &(*link)->next;
    if (*link)
        *link = thread->next;
    process->thread_count--;
    lock_release(&process->threads_lock);
    /* Whoever waits for all to park has one less to wait for. */
    __atomic_fetch_add(&process->park_events, 1, __ATOMIC_SEQ_CST);
    futex_wake(&process->park_events);
}

void thread_refork(void) {
    dead_lock = (struct lock){0};
}

struct process *process_copy(const struct process *process) {
    long at = host(__NR_mmap, 0, sizeof *process, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (host_failed(at))
        return NULL;
    struct process *copy = (struct process *)at;
    *copy = *process;
    copy->pid = 0;
    copy->threads = NULL;
    copy->thread_count = copy->parking = copy->parked = 0;
    copy->threads_lock = copy->actions_lock = copy->limits_lock = (struct lock){0};
    copy->is_first = 0;
    return copy;
}

void process_free(struct process *process) {
    host(__NR_munmap, process, sizeof *process);
}

void *scratch_take(struct thread *thread, u64 size) {
    u64 at = (thread->scratch_used + 15) & ~15ul;
    if (size > SCRATCH_SIZE || at > SCRATCH_SIZE - size)
        return NULL;
    thread->scratch_used = at + size;
    return thread->scratch + at;
}

/* Counts this thread in as parked and stays until told to go on. */
static void park(struct thread *thread) {
    struct process *process = thread->process;
    __atomic_and_fetch(&thread->work, ~THREAD_PARK, __ATOMIC_SEQ_CST);
    u32 parking = __atomic_load_n(&process->parking, __ATOMIC_SEQ_CST);
    if (!parking)
        return;
    if (thread->precise) /* whoever parks us may throw these tables away */
        fault_leave_precise(thread);
    signal_park(thread);
    __atomic_fetch_add(&process->parked, 1, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&process->park_events, 1, __ATOMIC_SEQ_CST);
    futex_wake(&process->park_events);
    while ((parking = __atomic_load_n(&process->parking, __ATOMIC_SEQ_CST)))
        futex_wait(&process->parking, parking);
    __atomic_fetch_sub(&process->parked, 1, __ATOMIC_SEQ_CST);
    signal_release(thread);
}

void thread_do_work(struct thread *thread) {
    u32 work = __atomic_load_n(&thread->work, __ATOMIC_SEQ_CST);
    if (work & THREAD_KILL)
        process_die(thread, 9);
    if (work & THREAD_PARK)
        park(thread);
    if (work & THREAD_ANSWER) {
        __atomic_fetch_and(&thread->work, ~THREAD_ANSWER, __ATOMIC_SEQ_CST);
        procfs_answer(thread);
    }
}

void thread_go_away(struct thread *thread) {
    struct process *process = thread->process;
    thread->away = true;
    __atomic_fetch_add(&process->parked, 1, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&process->park_events, 1, __ATOMIC_SEQ_CST);
    futex_wake(&process->park_events);
}

void thread_come_back(struct thread *thread) {
    struct process *process = thread->process;
    u32 parking;
    while ((parking = __atomic_load_n(&process->parking, __ATOMIC_SEQ_CST)))
        futex_wait(&process->parking, parking);
    __atomic_fetch_sub(&process->parked, 1, __ATOMIC_SEQ_CST);
    thread->away = false;
    /* A parker that came between is held up by park_events no longer than until we park. */
    if (__atomic_load_n(&process->parking, __ATOMIC_SEQ_CST))
        __atomic_or_fetch(&thread->work, THREAD_PARK, __ATOMIC_SEQ_CST);
}

/* True when every thread but the caller is parked or away. */
static bool all_parked(struct process *process) {
    lock_take(&process->threads_lock);
    bool all = __atomic_load_n(&process->parked, __ATOMIC_SEQ_CST) + 1 >= process->thread_count;
    lock_release(&process->threads_lock);
    return all;
}

void process_park(struct thread *thread) {
    struct process *process = thread->process;
    u32 none = 0;
    while (!__atomic_compare_exchange_n(&process->parking, &none, (u32)thread->kernel_tid, false,
                                        __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
        park(thread);
        none = 0;
    }
    lock_take(&process->threads_lock);
    for (struct thread *other = process->threads; other; other = other->next)
        if (other != thread) {
            __atomic_or_fetch(&other->work, THREAD_PARK, __ATOMIC_SEQ_CST);
            thread_kick(other);
        }
    lock_release(&process->threads_lock);
    for (;;) {
        u32 events = __atomic_load_n(&process->park_events, __ATOMIC_SEQ_CST);
        if (all_parked(process))
            return;
        futex_wait(&process->park_events, events);
    }
}

void process_unpark(struct thread *thread) {
    struct process *process = thread->process;
    __atomic_store_n(&process->parking, 0, __ATOMIC_SEQ_CST);
    futex_wake(&process->parking);
}

struct vcpu *thread_obtain_vcpu(struct thread *thread, long *error) {
    *error = -EAGAIN;
    struct vcpu *vcpu = vcpu_take();
    if (vcpu)
        return vcpu;
    struct process *process = thread->process;
    u32 batch = (u32)min_u64(max_u64(process->thread_count, 1), 16);
    bool alone = process->thread_count == 1;
    if (!alone)
        process_park(thread);
    space_lock_all(); /* a process that shares this memory is not parked */
    *error = vcpu_make_batch(batch);
    space_unlock_all();
    if (!alone)
        process_unpark(thread);
    vcpu = vcpu_take();
    if (!vcpu && !*error)
        *error = -EAGAIN;
    return vcpu;
}

/* What exit(2) does for a thread in user memory: robust mutexes, and the word that joiners wait on.
 */
static void leave_memory(struct thread *thread) {
    robust_release(thread);
    if (thread->clear_child_tid) {
        u32 zero = 0;
        /* A vfork'd child shares memory: the word matters then too. */
        if (!put_guest(zero, thread->clear_child_tid))
            host(__NR_futex, window_ptr(thread->clear_child_tid), FUTEX_WAKE, 1);
    }
}

static void note_peak_memory(void) {
    struct rusage usage;
    if (!host(__NR_getrusage, RUSAGE_SELF, &usage))
        stats_count(peak_memory, (u64)usage.ru_maxrss << 10);
}

_Noreturn void thread_exit(struct thread *thread, int status) {
    struct process *process = thread->process;
    signal_thread_ends(thread);
    account_remove_thread(process->account); /* before anyone is told of the end */
    leave_memory(thread);
    bool last = process->thread_count == 1;
    bool is_main = thread->kernel_tid == process->pid;
    if (last) {
        table_remove(process);
        account_end(process->account);
        note_peak_memory();
        /* Not exit: the worker thread that KVM added to the process would keep it alive. */
        for (;;)
            host(__NR_exit_group, status);
    }
    if (!process->vforked) /* a borrowed vCPU and record are taken back by the parent */
        vcpu_give(thread->vcpu);
    thread_unlink(thread);
    if (!is_main && !process->vforked)
        thread_free(thread); /* its memory is used until the kernel clears `tid` */
    for (;;)
        host(__NR_exit, status);
}

static void leave_all_memory(struct process *process) {
    lock_take(&process->threads_lock);
    for (struct thread *thread = process->threads; thread; thread = thread->next)
        robust_release(thread);
    lock_release(&process->threads_lock);
}

_Noreturn void process_exit(struct thread *thread, int status) {
    signal_thread_ends(thread);
    leave_all_memory(thread->process);
    if (thread->process->thread_count == 1)
        leave_memory(thread);
    table_remove(thread->process);
    account_end(thread->process->account);
    note_peak_memory();
    for (;;)
        host(__NR_exit_group, status);
}

_Noreturn void process_die(struct thread *thread, int signal) {
    signal_thread_ends(thread);
    leave_all_memory(thread->process);
    table_remove(thread->process);
    account_end(thread->process->account);
    note_peak_memory();
    signal_raise_default(thread->process, signal);
}
