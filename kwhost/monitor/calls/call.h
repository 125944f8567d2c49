/* One guest system call on its way through the monitor, and the table that describes all of them.
 */
#ifndef KW_CALLS_CALL_H
#define KW_CALLS_CALL_H

#include "base/host.h"
#include "base/types.h"
#include "mm/window.h"

struct thread;

/* A guest system call. arg[] are the raw register values, all hostile. */
struct call {
    struct thread *thread;
    u64 nr;
    u64 arg[6];
};

/* Handlers return the value for the guest's RAX: a result or a negative errno. A call that a signal
 * interrupted returns one of Linux's internal restart codes, from which delivery decides whether
 * the guest sees EINTR or the call is made again (signal(7)). CALL_NO_RESULT: the handler set the
 * registers itself (rt_sigreturn). */
typedef long (*call_handler)(struct call *call);
#define ERESTARTSYS 512    /* EINTR, unless the handler has SA_RESTART */
#define ERESTARTNOINTR 513 /* always made again */
#define ERESTARTNOHAND 514 /* EINTR when a handler runs, else made again */
#define ERESTARTBLOCK 516  /* as NOHAND; the handler keeps its deadline in thread->deadline */
#define CALL_NO_RESULT (-4096l)

/* Likewise for a call that has to be asked about before it goes on (process/question.h). */
#define CALL_ASKS 600

static inline bool call_restarts(long result) {
    return result <= -ERESTARTSYS && result >= -ERESTARTBLOCK;
}

/* How a call is treated (threat-model.md, 2). */
enum call_class {
    CALL_UNKNOWN,   /* not in the table: ENOSYS, counted */
    CALL_SERVED,    /* answered by the monitor itself */
    CALL_BROKERED,  /* takes paths: resolved beneath the root, /proc served by the monitor */
    CALL_FORWARDED, /* translated argument by argument, then made on the host */
    CALL_REFUSED,   /* always fails with a chosen errno */
};

/* What the host's EINTR becomes for this call. */
enum call_restart {
    RESTART_NONE,   /* cannot be interrupted, or EINTR stays EINTR */
    RESTART_SYS,    /* ERESTARTSYS */
    RESTART_NOHAND, /* ERESTARTNOHAND */
    RESTART_NEVER,  /* may be interrupted, and EINTR stays EINTR whatever the handler's flags */
};

/* Kinds of argument. LEN(n) kinds take the byte count from argument n, COUNT kinds an element
 * count. The generic translation (translate.c) validates and translates each by its kind. */
enum arg_kind {
    ARG_NONE,
    ARG_INT,      /* passed as it is (64 bits) */
    ARG_FD,       /* a descriptor: below the monitor's own, else EBADF; sign-extended int */
    ARG_DIRFD,    /* as ARG_FD, or AT_FDCWD */
    ARG_PATH,     /* NUL-terminated path, copied once into the thread's path buffer */
    ARG_STRING,   /* other string (xattr name, ...), copied once, at most 4095 bytes */
    ARG_POINTER,  /* structure of fixed size (below 4 GiB): translated, NULL stays NULL */
    ARG_IN,       /* buffer read by the kernel, length in argument `extra` */
    ARG_OUT,      /* buffer written by the kernel, length in argument `extra` */
    ARG_IOVEC,    /* struct iovec[], count in argument `extra`; copied, every range checked */
    ARG_SOCKADDR, /* address read by the kernel, length in argument `extra`; copied, at most 128 */
    ARG_SIGNAL,   /* signal number */
    ARG_FLAGS,    /* as INT; shown in hexadecimal */
    ARG_MODE,     /* as INT; shown in octal */
    ARG_PID,      /* as INT; a process, thread or group */
    ARG_ADDRESS,  /* a guest address that the handler treats itself; passed as it is */
    ARG_TIME,     /* as POINTER: struct timespec, timeval or itimerspec */
    ARG_SIGSET,   /* as POINTER: sigset_t, 8 bytes */
    ARG_MSGHDR,   /* as POINTER, but only for handlers that copy: holds further pointers */
};
struct arg {
    u8 kind;
    u8 extra; /* number of the length argument, with ARG_LENGTH_32 when the kernel takes 32 bits of
                 it */
};
#define ARG_LENGTH_32 0x10

/* What a wild guest pointer becomes for the host kernel: never valid, so that the kernel answers
 * EFAULT in its own order of checks. */
#define WILD_POINTER 0xffff800000000000ul

struct call_entry {
    const char *name;
    call_handler handler; /* CALL_FORWARDED and plain CALL_BROKERED: forward; CALL_REFUSED: NULL */
    u8 class;
    u8 restart;
    u16 refusal; /* errno of a refused call */
    struct arg arg[6];
    const char *note;
};

#define CALL_LIMIT 512 /* call numbers at or above are unknown */
extern const struct call_entry call_table[CALL_LIMIT];

/* The host arguments of a call after generic translation. Everything that was copied lives in the
 * thread's scratch memory until the call returns. */
struct host_args {
    u64 value[6];
};

/* Translates arguments by kind. Returns 0 or a negative errno, before anything was done. */
long translate_args(struct call *call, const struct call_entry *entry, struct host_args *host);

/* Translate, make the call on the host (interruptibly where the table says so), map EINTR. The
 * handler of every CALL_FORWARDED row. */
long call_forward(struct call *call);

/* As call_forward for rows with paths: when the path leads into the guest's /proc the procfs module
 * answers instead. The handler of CALL_BROKERED rows without one of their own. */
long call_brokered(struct call *call);

/* Translates one pointer to a structure of fixed size: NULL stays NULL, wild ones become
 * WILD_POINTER, misaligned as they were (some calls look at that first). */
static inline u64 host_pointer(gva_t address) {
    return address < WINDOW_SIZE ? (u64)window_ptr(address) : WILD_POINTER | (address & 7);
}

/* Makes a host call that a signal may interrupt. -ERESTARTNOINTR: a signal (or other work) was
 * already waiting and the call was not made: it comes first, as if it had arrived before the call.
 * Never -EINTR for that: a read of a file has none. Blocking calls must be made through this. */
long host_interruptible(struct thread *thread, long nr, const u64 arg[6]);

/* -EINTR becomes the restart code; anything else stays. */
static inline long restart_sys(long result) {
    return result == -EINTR ? -ERESTARTSYS : result;
}
static inline long restart_nohand(long result) {
    return result == -EINTR ? -ERESTARTNOHAND : result;
}

/* Serves one call completely: lookup, count, policy, handler, statistics. Returns RAX. */
long call_dispatch(struct call *call);

/* The first descriptor number that belongs to the monitor; guest numbers are below. */
bool guest_fd_ok(u64 fd);

#endif
