/* The instance-wide process table (procfs/table.h): a dense index of process ids, and one slot of
 * three pages each, of which only used ones take memory. */
#include <linux/fcntl.h>
#include <linux/futex.h>
#include <linux/memfd.h>
#include <linux/mman.h>

#include "base/accounts.h"
#include "base/host.h"
#include "base/text.h"
#include "mm/space.h"
#include "process/exec.h"
#include "process/load.h"
#include "process/thread.h"
#include "procfs/table.h"

#define SLOTS 4096u
#define PROBES 16u /* places where a process id may stand in the index */
#define SLOT_SIZE (3 * PAGE_SIZE)

struct slot {
    u32 sequence; /* odd while its owner writes */
    u32 reserved;
    struct table_entry entry;
};
_Static_assert(sizeof(struct slot) <= SLOT_SIZE, "a slot has three pages");

struct header {
    struct table_directory sealed;
    u32 wakes;
    u32 pids[SLOTS]; /* 0: free */
    struct accounts accounts;
};
#define HEADER_SIZE page_up(sizeof(struct header))
#define TABLE_SIZE (HEADER_SIZE + SLOTS * SLOT_SIZE)

static struct header *table; /* NULL: no table could be mapped, nothing is published */

int table_create(void) {
    long fd = host(__NR_memfd_create, "processes", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return (int)fd;
    long result = host(__NR_ftruncate, fd, TABLE_SIZE);
    /* Nobody may shrink it under the readers' feet. */
    if (result >= 0)
        result = host(__NR_fcntl, fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    if (result < 0) {
        host(__NR_close, fd);
        return (int)result;
    }
    return (int)fd;
}

int table_start(void) {
    long address = host(__NR_mmap, 0, TABLE_SIZE, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_NORESERVE, own_fd(OWN_TABLE), 0);
    if (host_failed(address))
        return (int)address;
    table = (struct header *)address;
    return 0;
}

struct accounts *table_accounts(void) {
    return table ? &table->accounts : NULL;
}

static struct slot *slot_at(u32 index) {
    return (struct slot *)((u8 *)table + HEADER_SIZE + index * SLOT_SIZE);
}

static bool find_index(int pid, u32 *index) {
    if (!table || pid <= 0)
        return false;
    for (u32 i = 0; i < PROBES; i++) {
        *index = ((u32)pid + i) % SLOTS;
        if (__atomic_load_n(&table->pids[*index], __ATOMIC_ACQUIRE) == (u32)pid)
            return true;
    }
    return false;
}

static bool claim(u32 index, u32 from, int pid) {
    return __atomic_compare_exchange_n(&table->pids[index], &from, (u32)pid, false,
                                       __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* The process's own slot, taken if it has none yet. NULL when all its places hold living processes:
 * the process then is shown with what its host process tells. */
static struct slot *own_slot(int pid) {
    u32 index;

    if (find_index(pid, &index))
        return slot_at(index);
    if (!table || pid <= 0)
        return NULL;
    for (u32 i = 0; i < PROBES; i++) {
        index = ((u32)pid + i) % SLOTS;
        if (claim(index, 0, pid))
            return slot_at(index);
    }
    for (u32 i = 0; i < PROBES; i++) {
        index = ((u32)pid + i) % SLOTS;
        u32 holder = __atomic_load_n(&table->pids[index], __ATOMIC_RELAXED);
        bool gone = holder && ((s32)holder < 0 || host(__NR_tkill, holder, 0) == -ESRCH);
        if (gone && claim(index, holder, pid))
            return slot_at(index);
    }
    return NULL;
}

static void begin_write(struct slot *slot) {
    __atomic_store_n(&slot->sequence, slot->sequence | 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

static void end_write(struct slot *slot) {
    __atomic_store_n(&slot->sequence, (slot->sequence | 1) + 1, __ATOMIC_RELEASE);
}

/* Copies a range of guest memory, cut to `limit`. Returns what was copied. */
static u32 copy_range(void *to, gva_t start, gva_t end, u32 limit) {
    u64 size = end > start ? min_u64(end - start, limit) : 0;
    return size && !copy_from_guest(to, start, size) ? (u32)size : 0;
}

void table_publish_exec(struct process *process) {
    struct slot *slot = own_slot(process->pid);
    if (!slot)
        return;
    struct table_entry *entry = &slot->entry;
    const struct program_image *image = &program_image;
    begin_write(slot);
    entry->code_start = image->base;
    entry->code_end = image->break_start;
    entry->break_start = image->break_start;
    entry->stack_start = image->stack_pointer;
    entry->argument_start = image->arguments;
    entry->argument_end = image->arguments_end;
    entry->environment_start = image->environment;
    entry->environment_end = image->environment_end;
    entry->exe_length = (u32)strnlen(process->exe_path, PATH_MAX - 1);
    memcpy(entry->exe, process->exe_path, entry->exe_length);
    entry->auxv_length =
        copy_range(entry->auxv, image->auxv, image->auxv + image->auxv_size, TABLE_AUXV_MAX);
    entry->environ_length =
        copy_range(entry->environ, image->environment, image->environment_end, TABLE_ENVIRON_MAX);
    entry->virtual_size = entry->virtual_peak = space_size();
    entry->threads = process->thread_count;
    end_write(slot);
    table_publish_signals(process);
}

static void bound(struct table_entry *entry) {
    entry->exe_length = (u32)min_u64(entry->exe_length, PATH_MAX - 1);
    entry->auxv_length = (u32)min_u64(entry->auxv_length, TABLE_AUXV_MAX);
    entry->environ_length = (u32)min_u64(entry->environ_length, TABLE_ENVIRON_MAX);
    entry->threads = (u32)min_u64(entry->threads, 1u << 22);
    entry->virtual_size = min_u64(entry->virtual_size, 1ul << 47);
    entry->virtual_peak = max_u64(min_u64(entry->virtual_peak, 1ul << 47), entry->virtual_size);
}

/* Copies the used parts only: untouched pages of a slot stay unallocated. Bounded by its own copy
 * of the lengths, whatever the owner writes meanwhile. */
static void copy_entry(struct table_entry *to, const struct table_entry *from, bool texts) {
    memcpy(to, from, offsetof(struct table_entry, exe));
    bound(to);
    if (!texts)
        return;
    memcpy(to->exe, from->exe, to->exe_length);
    memcpy(to->auxv, from->auxv, to->auxv_length);
    memcpy(to->environ, from->environ, to->environ_length);
}

void table_publish_fork(struct process *child, int parent_pid) {
    u32 parent;
    struct slot *slot = own_slot(child->pid);
    if (!slot || !find_index(parent_pid, &parent) || slot_at(parent) == slot)
        return;
    begin_write(slot);
    copy_entry(&slot->entry, &slot_at(parent)->entry, true);
    slot->entry.threads = child->thread_count;
    end_write(slot);
}

void table_publish_threads(struct process *process) {
    u32 index;
    if (find_index(process->pid, &index))
        __atomic_store_n(&slot_at(index)->entry.threads, process->thread_count, __ATOMIC_RELAXED);
}

void table_publish_size(struct process *process, u64 bytes) {
    u32 index;
    if (!find_index(process->pid, &index))
        return;
    struct table_entry *entry = &slot_at(index)->entry;
    __atomic_store_n(&entry->virtual_size, bytes, __ATOMIC_RELAXED);
    if (bytes > entry->virtual_peak)
        __atomic_store_n(&entry->virtual_peak, bytes, __ATOMIC_RELAXED);
}

void table_publish_signals(struct process *process) {
    u32 index;
    u64 ignored = 0, caught = 0;
    if (!find_index(process->pid, &index))
        return;
    for (int signal = 1; signal < SIGNAL_LIMIT; signal++) {
        u64 handler = process->actions[signal].handler;
        if (handler == 1) /* SIG_IGN */
            ignored |= signal_bit(signal);
        else if (handler)
            caught |= signal_bit(signal);
    }
    __atomic_store_n(&slot_at(index)->entry.ignored, ignored, __ATOMIC_RELAXED);
    __atomic_store_n(&slot_at(index)->entry.caught, caught, __ATOMIC_RELAXED);
}

void table_remove(struct process *process) {
    u32 index;
    if (!find_index(process->pid, &index))
        return;
    /* Memory first: once the index is free another process may write there. */
    host(__NR_madvise, slot_at(index), SLOT_SIZE, MADV_REMOVE);
    claim(index, (u32)process->pid, 0);
}

static bool read_entry(int pid, struct table_entry *entry, bool texts) {
    u32 index;
    if (!find_index(pid, &index))
        return false;
    const struct slot *slot = slot_at(index);
    /* A torn copy is still a bounded one: give up waiting for a consistent one after a few tries.
     */
    for (int tries = 0; tries < 4; tries++) {
        u32 before = __atomic_load_n(&slot->sequence, __ATOMIC_ACQUIRE);
        copy_entry(entry, &slot->entry, texts);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (!(before & 1) && __atomic_load_n(&slot->sequence, __ATOMIC_RELAXED) == before)
            break;
    }
    return true;
}

bool table_read(int pid, struct table_entry *entry) {
    return read_entry(pid, entry, true);
}

bool table_read_numbers(int pid, struct table_entry *entry) {
    return read_entry(pid, entry, false);
}

bool table_has(int pid) {
    u32 index;
    return find_index(pid, &index);
}

void table_wake(void) {
    if (!table)
        return;
    __atomic_fetch_add(&table->wakes, 1, __ATOMIC_RELEASE);
    host(__NR_futex, &table->wakes, FUTEX_WAKE, INT32_MAX, 0, 0, 0);
}

u32 table_wakes(void) {
    return table ? __atomic_load_n(&table->wakes, __ATOMIC_ACQUIRE) : 0;
}

void table_wait(u32 seen, u64 ns) {
    struct {
        s64 seconds, nanoseconds;
    } limit = {(s64)(ns / 1000000000ul), (s64)(ns % 1000000000ul)};
    if (table)
        host(__NR_futex, &table->wakes, FUTEX_WAIT, seen, &limit, 0, 0);
}

struct table_directory table_sealed(void) {
    struct table_directory none = {0, 0};
    return table ? table->sealed : none;
}

void table_set_sealed(struct table_directory directory) {
    if (table)
        table->sealed = directory;
}
