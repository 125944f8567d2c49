/* The guest's address space: its mappings, kept in a sorted list beside the host's own, and the
 * memory calls. Host mappings inside the window carry the protections; the list says what is mapped
 * at all (a PROT_NONE mapping and an unmapped address look the same to the host). */
#ifndef KW_MM_SPACE_H
#define KW_MM_SPACE_H

#include "base/lock.h"
#include "base/types.h"
#include "mm/window.h"

enum mapping_kind {
    MAPPING_ANONYMOUS,
    MAPPING_FILE,
    MAPPING_HEAP,
    MAPPING_STACK,
    MAPPING_VDSO,
    MAPPING_VVAR,
};

struct mapping {
    gva_t start, end; /* page-aligned, end exclusive */
    u8 prot;          /* PROT_READ | PROT_WRITE | PROT_EXEC as the guest asked */
    u8 kind;          /* enum mapping_kind */
    bool shared;      /* MAP_SHARED: writes reach the file or other processes */
    bool no_fork;     /* MADV_DONTFORK: not in a child (the host must not leave a hole there) */
    bool stack;       /* also a thread's (MAP_STACK) */
    bool charged;     /* private and once writable: counts against the instance's limit on memory.
                       * Not of stacks, which are mapped whole and hardly used. */
    u8 reserved[2];
};

/* Sets up an empty space: window, list, lock. Once per monitor start. */
int space_start(void);

/* Everything below takes the space's lock itself, unless it says otherwise. Addresses, lengths and
 * flags are the guest's (hostile) and are validated as Linux does. */

/* mmap(2). `kind` says what to call it. Returns the guest address or a negative errno. */
long space_map(gva_t hint, u64 size, int prot, int flags, int fd, u64 offset,
               enum mapping_kind kind);
long space_unmap(gva_t start, u64 size);
long space_protect(gva_t start, u64 size, int prot);

/* Where brk starts (page-aligned up), set by the program loader. */
void space_set_break(gva_t start);

/* The mapping that holds `address`, copied to *found. False when there is none. */
bool space_find(gva_t address, struct mapping *found);

/* Calls `each` for every mapping in address order, with the space's lock held. */
void space_each(void (*each)(const struct mapping *mapping, void *context), void *context);

/* Bytes mapped in all: the guest's own idea of its virtual size. */
u64 space_size(void);

/* Bytes of it that count against the instance's limit on memory (base/accounts.h). */
u64 space_charged(void);

/* Bytes in [start, end) that are data to RLIMIT_DATA: private, writable and no stack. `opened`: as
 * if all that is mapped there were writable. */
u64 space_data(gva_t start, gva_t end, bool opened);

/* With the lock held: whether anything is mapped in [start, end); and makes the page tables of what
 * is mapped executable there executable. */
bool space_any_in(gva_t start, gva_t end);
void space_allow_execute(gva_t start, gva_t end);

/* mremap(2), madvise(2), brk(2). */
long space_remap(gva_t old, u64 old_size, u64 new_size, int flags, gva_t target);
long space_advise(gva_t start, u64 size, int advice);
gva_t space_break(gva_t end);

/* True when all of [start, start + size) is mapped. */
bool space_all_mapped(gva_t start, u64 size);

/* Guest mappings end here; above lies the vDSO. */
#define SPACE_LIMIT (WINDOW_SIZE - 2 * HUGE_SIZE)

/* With no lock held: page tables that mirror every private anonymous mapping at 4 KiB granularity
 * with its true protection, and the pages in `known` (present, but of files or shared), and nothing
 * else. Returns the top-level table or 0 when memory is out. */
extern u32 precise_users; /* callers not yet back on the coarse tables: each takes itself off */
gpa_t space_precise_tables(const gva_t *known, u32 known_count);

/* Makes an accessible page that has no backing yet (a lazily covered mapping) reachable. True when
 * there was something to do. */
bool space_back_page(gva_t address);

/* True when the mapping at `address` allows the access and the host has no page for it: past the
 * end of its file, for one. */
bool space_lacks_page(gva_t address, bool write);

/* The stack grows down to `address` when that lies right below it and `limit` (RLIMIT_STACK, bytes)
 * allows. True when it did. */
bool space_grow_stack(gva_t address, u64 limit);

/* Places the host's vDSO and its data pages in the guest. `before` and `size`: bytes of data pages
 * before the vDSO's ELF image, and of the image; 0, 0: find them out (from procfs at `proc_fd`).
 * Nothing is placed where the guest's time stamp counter is not the host's. */
extern u64 host_vdso; /* AT_SYSINFO_EHDR of the monitor itself; set by main */
void vdso_place(int proc_fd, u32 *before, u32 *size);
extern struct vdso_layout {
    u32 before, size;
} vdso_layout; /* what vdso_place found, for the next monitor */
/* In the child after fork: its slot in the new VM. */
int vdso_refork(void);

/* Gives way to a stack of this size below space_stack_top. Before anything is mapped. */
void space_set_stack_size(u64 size);

/* In the child after fork, alone: takes away what MADV_DONTFORK keeps from it. */
void space_refork(void);

/* For fork: takes and releases every lock of this module. */
void space_lock_all(void);
void space_unlock_all(void);

/* Where things lie. Positions are randomised page-wise (huge-page-wise for PIE) at start. */
gva_t space_program_base(void); /* for ET_DYN programs */
gva_t space_stack_top(void);    /* end of the stack mapping */
gva_t space_vdso_base(void);    /* AT_SYSINFO_EHDR, 0 when the vDSO cannot be offered */

#endif
