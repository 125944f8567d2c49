/* The descriptors that the monitor itself holds, out of the guest's reach. */
#ifndef KW_BASE_OWN_FD_H
#define KW_BASE_OWN_FD_H

#include "base/types.h"

/* The monitor's own descriptors are numbers from own_fd_base(): the top 1,280 below the hard
 * RLIMIT_NOFILE. The fixed ones stay open across execve, the others (VM, vCPUs) do not. */
#define OWN_FD_COUNT 1280
enum own_fd {
    OWN_RECORD,   /* struct exec_record, read once at start and closed */
    OWN_SELF,     /* sealed memfd (mode 0111) of this very executable */
    OWN_KVM,      /* /dev/kvm */
    OWN_STATS,    /* struct kw_stats */
    OWN_TABLE,    /* instance-wide process table */
    OWN_PROC,     /* detached procfs mount of the instance's pid namespace */
    OWN_PROGRAM,  /* the program's executable file (O_RDONLY or O_PATH); /proc/self/exe */
    OWN_SCRIPT,   /* spare, used during exec */
    OWN_STANDINS, /* detached tmpfs where procfs makes what it hands to guests (procfs/standin.h) */
    OWN_POLICY,   /* struct kw_policy_table, for reading; only where there is a policy */
    OWN_BELL,     /* eventfd: wakes supervise for the policy's events; likewise */
    OWN_LEARN,    /* struct kw_learn; only while a policy is being learnt */
    OWN_FIRST_VARIABLE = 16,
};
/* With this path, which is empty, and AT_EMPTY_PATH the monitor executes the file of OWN_SELF. The
 * seccomp filter knows it by its address, which is constant memory of the image. */
extern const char own_path[1];

u32 own_fd_base(void); /* constant for the life of an instance */
/* In a process that has lowered its hard limit before it placed any descriptor. */
void own_fd_base_renew(void);
static inline int own_fd(enum own_fd which) {
    return (int)(own_fd_base() + which);
}

/* The soft RLIMIT_NOFILE of the host is the guest's own, below the monitor's descriptors: it has to
 * be raised while one of them, or any descriptor a guest with a full table did not leave room for,
 * is made. Nested use is fine. Callers see to it that no other guest thread makes descriptors
 * meanwhile. */
struct own_fd_limit {
    u64 soft, hard;
};
void own_fd_limit_raise(struct own_fd_limit *saved);
void own_fd_limit_restore(const struct own_fd_limit *saved);

/* Likewise for the guest's limit on the size of files, while the monitor writes one of its own. */
struct own_file_limit {
    u64 soft, hard;
};
void own_file_limit_raise(struct own_file_limit *saved);
void own_file_limit_restore(const struct own_file_limit *saved);

/* Duplicates `fd` to a fixed slot, replacing what was there; close-on-exec only for OWN_SCRIPT.
 * `fd` stays the caller's. Returns 0 or a negative errno. */
int own_fd_place(int fd, enum own_fd slot);

/* A duplicate of a guest's descriptor above the fixed ones, close-on-exec, which no guest thread
 * can replace; the caller closes it. Returns its number or a negative errno (-EMFILE: none is
 * free).
 *
 * With process->limits_lock held, so that no process is forked with the raised limit. Another
 * thread whose table is full may get a number meanwhile that it must not use: it is itself that it
 * harms. */
int own_fd_borrow(int fd);
/* In a forked child, before it makes any: closes those that other threads had borrowed. */
void own_fd_close_borrowed(void);

/* Moves `fd` to a free number above the fixed ones, close-on-exec, and closes the old number also
 * on failure. Returns the new number or a negative errno (-EMFILE: none is free). */
int own_fd_move(int fd);

#endif
