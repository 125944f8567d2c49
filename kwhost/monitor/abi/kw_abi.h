/* The one description of what Python, `supervise` and the monitors share. C includes the file as it
 * is; what stands between the two cdef markers is also read by cffi (kwhost/core/abi). Fixed-width
 * integers, explicit padding, no pointers; magic, version and size first. */
#ifndef KW_ABI_H
#define KW_ABI_H

#include <stdint.h>

/* cdef: begin */
#define KW_ABI_VERSION 2
#define KW_LAUNCH_MAGIC 0x6b776c31
#define KW_STATS_MAGIC 0x6b777331
#define KW_EXIT_MAGIC 0x6b776531
#define KW_NAME_MAX 64
#define KW_ERROR_MAX 512
#define KW_CALL_LIMIT 512
#define KW_HISTOGRAM 32
#define KW_GROUPS_MAX 32
#define KW_CGROUPS_MAX 16
#define KW_TAPS_MAX 4
#define KW_TAP_QUEUES_MAX 8
#define KW_TAP_NAME_MAX 16    /* IFNAMSIZ */
#define KW_CONNECTIONS_MAX 64 /* control connections of one instance at once */
#define KW_LOG_TEXT_MAX 16384 /* bytes of text in one record of a log */
#define KW_LOG_SIZE_LEAST 65536
#define KW_LOG_FILES_MAX 1000
#define KW_SECRETS_MAGIC 0x6b777a31
#define KW_SECRETS_MAX 64
#define KW_SECRETS_SIZE_MAX 524288 /* bytes, of all of an instance's together */
#define KW_SECRET_NAME_MAX 68
#define KW_NO_FD -1

/* Launch flags. */
#define KW_LAUNCH_TTY 1       /* give the program a pseudo terminal of its own */
#define KW_LAUNCH_STDIN 2     /* connect standard input (else /dev/null) */
#define KW_LAUNCH_INIT 4      /* a reaper as pid 1 */
#define KW_LAUNCH_READ_ONLY 8 /* root file system read-only */
#define KW_LAUNCH_ROOTLESS 16 /* the caller is no root: one id, or subordinate ids */
#define KW_LAUNCH_HOSTED 32   /* outlives its caller: no lifeline; output goes to the log */
#define KW_LAUNCH_ATTACHED 64 /* hosted: descriptors 0 to 2 of supervise are a first attachment */
#define KW_LAUNCH_EXEC 128    /* a further process for a running instance (KW_CONTROL_EXEC) */
#define KW_LAUNCH_NETWORK 256 /* the program waits for its network (KW_CONTROL_NETWORK) */
#define KW_LAUNCH_PROCESS 512 /* no virtual machine: the program is a process of this kernel's */
#define KW_LAUNCH_BARE                                                                             \
    1024 /* with KW_LAUNCH_PROCESS: neither namespaces nor mounts, for they are                    \
            refused here. Of the mounts a KW_MOUNT_BIND first, of "/", is the                      \
            root; others of that kind grant their target as it is there, devices                   \
            also for writing; a KW_MOUNT_TMPFS is a directory that is made, may                    \
            be written, and goes with the instance; there are no others */

/* The launch record: header, then mounts, taps, arguments and strings in one blob. Offsets count
 * from the start of the record; a string ends with NUL; offset 0 means none. Of a record with
 * KW_LAUNCH_EXEC only user, groups, arguments, environment, directory and terminal count; it names
 * no descriptor, no mount and no tap, the rest is the instance's. */
struct kw_launch {
    uint32_t magic;
    uint32_t version;
    uint32_t size; /* of the whole record in bytes */
    uint32_t flags;
    char name[KW_NAME_MAX]; /* of the instance; host name in its UTS namespace */
    /* Ids 0 to id_count-1 of the instance are these on the host. Rootless: id 0 is the caller, and
     * the range is that of ids from 1 on (unused when id_count is 1). */
    uint32_t host_uid_base;
    uint32_t host_gid_base;
    uint32_t id_count;
    uint32_t uid; /* that the program starts with, inside */
    uint32_t gid;
    uint32_t group_count;
    uint32_t groups[KW_GROUPS_MAX];
    uint32_t mount_count;
    uint32_t mounts_offset; /* struct kw_mount[mount_count] */
    uint32_t argc;
    uint32_t argv_offset; /* uint32_t[argc], string offsets */
    uint32_t envc;
    uint32_t env_offset; /* uint32_t[envc], string offsets */
    uint32_t workdir_offset;
    uint16_t tty_rows;
    uint16_t tty_columns;
    uint32_t nofile;     /* descriptor numbers the guest may use (hard limit it sees) */
    uint32_t pids_limit; /* guest processes and threads; 0: none */
    uint64_t started_ns; /* CLOCK_MONOTONIC when the command began */
    /* Descriptors; KW_NO_FD: none. */
    int32_t control_fd;  /* SOCK_SEQPACKET: struct kw_message both ways */
    int32_t lifeline_fd; /* read end; end of file ends the instance */
    int32_t kvm_fd;      /* /dev/kvm, opened; none with KW_LAUNCH_PROCESS */
    int32_t stats_fd;    /* memfd of sizeof(struct kw_stats) */
    int32_t lease_fd;    /* holds the range of ids while it is open */
    int32_t listen_fd;   /* hosted: listening socket, for further connections like control_fd */
    int32_t log_dir_fd;  /* hosted: directory of the files log, log.1, ... */
    int32_t exit_fd;     /* hosted: file with room for a struct kw_exit */
    /* Files cgroup.procs, opened for writing: where supervise stays, and the instance's own. */
    int32_t cgroup_fds[KW_CGROUPS_MAX];
    int32_t guest_cgroup_fds[KW_CGROUPS_MAX];
    int32_t ceiling_fd;    /* memfd of a struct kw_ceiling (kw_policy.h); none: no narrowing */
    int32_t policy_fd;     /* memfd of a struct kw_policy (kw_policy.h) */
    int32_t learn_fd;      /* foreground, with a policy: memfd of a struct kw_learn (kw_learn.h) */
    int32_t netns_fd;      /* network namespace, set up, that is no instance's to change; none: an
                              empty one of its own */
    uint64_t log_size;     /* bytes of one log file */
    uint64_t memory_limit; /* bytes of private writable memory, kept by the monitors; 0: none */
    uint64_t resident_limit; /* bytes, sampled by supervise; 0: none */
    uint32_t log_files;      /* how many log files there are at most */
    uint32_t tap_count;
    uint32_t taps_offset;    /* struct kw_tap[tap_count]; nothing where that is 0 */
    uint32_t counted_cgroup; /* 1 + place among guest_cgroup_fds: its limit on processes counts
                                none but the instance's own; 0: none of them */
    int32_t secrets_fd;      /* of a struct kw_secrets, with a KW_MOUNT_SECRETS; or none */
    uint32_t reserved;       /* 0 */
};

/* The secrets of an instance: files of a user's that nothing else names. Their contents follow, one
 * after the other. */
struct kw_secret {
    char name[KW_SECRET_NAME_MAX];
    uint32_t size;
};
struct kw_secrets {
    uint32_t magic;
    uint32_t count;
    struct kw_secret entries[KW_SECRETS_MAX];
};

/* Mounts are made in order, targets inside the new root, missing target directories are made. */
enum kw_mount_kind {
    KW_MOUNT_TMPFS = 1,   /* data: options (size=, mode=) */
    KW_MOUNT_BIND = 2,    /* source: host path */
    KW_MOUNT_OVERLAY = 3, /* source: lower host directories, top first, joined by ':'; upper on a
                             tmpfs of its own, or see KW_MOUNT_UPPER */
    KW_MOUNT_PROC = 4,    /* the sealed directory; the procfs behind it is held by descriptor */
    KW_MOUNT_SYSFS = 5,
    KW_MOUNT_DEVPTS = 6,
    KW_MOUNT_MQUEUE = 7,
    KW_MOUNT_DIRECTORY = 8, /* mkdir -p with `mode` */
    KW_MOUNT_SYMLINK = 9,   /* source: the link's text */
    KW_MOUNT_FILE = 10,     /* source: the content; `mode` */
    KW_MOUNT_HIDE = 11,     /* an empty unreadable object over the target where it exists */
    KW_MOUNT_SECRETS = 12 /* what is behind secrets_fd, as files of the program's user, read-only */
};
#define KW_MOUNT_READ_ONLY 1
#define KW_MOUNT_ID_MAPPED 2 /* where the file system can; owners stay foreign otherwise */
#define KW_MOUNT_RECURSIVE 4
#define KW_MOUNT_NO_EXEC 8
#define KW_MOUNT_OPTIONAL 16 /* no error when the source does not exist */
#define KW_MOUNT_DEVICE 32   /* a device node: bound without nodev */
#define KW_MOUNT_NO_LINKS 64 /* the source has no symbolic link in it, or is refused */
#define KW_MOUNT_UPPER 128   /* an overlay's first source is an empty directory for the changes */

struct kw_mount {
    uint32_t kind;
    uint32_t flags;
    uint32_t source_offset;
    uint32_t target_offset;
    uint32_t data_offset;
    uint32_t mode;
};

/* A tap device (linux/if_tun.h), made and attached to a network outside, whose queues an engine
 * with a guest kernel drives as its guest's interface number 0, 1, ... An engine that has no use
 * for one refuses the record: the engine direct does, whose programs are in a network namespace. */
struct kw_tap {
    char name[KW_TAP_NAME_MAX]; /* of the device */
    uint8_t mac[6];             /* of the guest's interface; packets of others are dropped */
    uint8_t prefix4;            /* bits of the addresses below that name their network */
    uint8_t prefix6;
    uint32_t header_size; /* bytes of the virtio header (linux/virtio_net.h) before each frame */
    uint32_t mtu;         /* bytes, without the frame's own header */
    uint32_t queue_count;
    int32_t queue_fds[KW_TAP_QUEUES_MAX]; /* the first queue_count, all of which are to be read */
    uint8_t address4[4];                  /* of the guest's interface, in network order */
    uint8_t gateway4[4];
    uint8_t address6[16];
    uint8_t gateway6[16];
    uint32_t reserved[5];
};

/* Control messages (to supervise) and events (from it). One packet each, on any of the connections;
 * descriptors travel with it (SCM_RIGHTS). A connection that does not read its events is closed.
 * This part stays as it is in later versions: they find instances of earlier ones. */
enum kw_message_type {
    KW_CONTROL_SIGNAL = 1,    /* value: signal number for the instance's pid 1 */
    KW_CONTROL_RESIZE = 2,    /* value: rows << 16 | columns */
    KW_CONTROL_STOP = 3,      /* value: milliseconds to SIGKILL; extra: signal before, 0: SIGTERM */
    KW_CONTROL_HELLO = 4,     /* asks for KW_EVENT_HELLO */
    KW_CONTROL_WATCH_LOG = 5, /* asks for one KW_EVENT_LOGGED, as soon as something was logged since
                                 the last one on this connection */
    KW_CONTROL_ATTACH = 6,    /* value: KW_ATTACH_*; descriptors: [read end for standard input]
                                 [write ends for standard output and error] */
    KW_CONTROL_EXEC = 7,   /* descriptors: launch record, /dev/kvm (not with KW_LAUNCH_PROCESS), and
                              unless it asks for a terminal standard input, output and error. From
                              then on the connection is   that process: its control messages and
                              events   are about it, and   closing it kills. An end that is told
                              without   a start   is the   instance's: it came before */
    KW_CONTROL_SOCKET = 8, /* value: AF_INET or AF_INET6; extra: SOCK_STREAM or SOCK_DGRAM; asks for
                              KW_EVENT_SOCKET */
    KW_CONTROL_ROOT = 9,   /* asks for KW_EVENT_ROOT */
    KW_CONTROL_POLICY = 10, /* a descriptor: memfd of a struct kw_policy, in force from now on; asks
                               for KW_EVENT_POLICY */
    KW_CONTROL_ANSWER = 11, /* value: the question's number; extra: 1 allows the call, 0 refuses it;
                               of a question that is no longer open nothing happens */
    KW_CONTROL_NETWORK = 12, /* value: KW_NETWORK_*, of an instance with KW_LAUNCH_NETWORK */
    KW_EVENT_STARTED = 16, /* value, extra: host pid of the instance's pid 1, or of the process; of
                              one with a terminal, a descriptor: the master */
    KW_EVENT_EXITED =
        17, /* value: exit code 0-255, or 256 + signal number; text: crash line or "" */
    KW_EVENT_FAILED = 18,  /* value: exit status for the command (125, 126, 127); text: one line */
    KW_EVENT_STOPPED = 19, /* value: the stop signal: pid 1 was stopped by job control */
    KW_EVENT_NOTICE = 20,  /* text: one line about something weaker than asked */
    KW_EVENT_HELLO = 21, /* value: 0 starting, 1 running; extra: host pid of pid 1; time_ns: of the
                            launch record; a descriptor: the statistics page */
    KW_EVENT_LOGGED = 22,
    KW_EVENT_MEMORY =
        23, /* text: by how much; resident_limit was exceeded, the instance is killed */
    KW_EVENT_SOCKET = 24, /* value: 0 with a descriptor, a new socket in the instance's network
                             namespace; or an errno */
    KW_EVENT_ROOT = 25, /* value: 0 with two descriptors, the instance's root directory and a pidfd
                           of its pid 1; or an errno */
    KW_EVENT_DENIED = 26,   /* a call that a policy's rule logged or denied. value: the rule; extra:
                               the call's number; time_ns: when; text: "PID TID ACTION ERRNO A0 A1 A2
                               A3 A4 A5 LOST TEXT": ids as in the instance, arguments in hexadecimal,
                               events lost before this one, path or address (may be empty) */
    KW_EVENT_POLICY = 27,   /* value: 0; or an errno with the reason as text: nothing has changed */
    KW_EVENT_QUESTION = 28, /* a call that waits for KW_CONTROL_ANSWER. value: the rule; extra: the
                               call's number; time_ns: when; text: "QUESTION PID TID REMAINING_MS A0
                               A1 A2 A3 A4 A5 TEXT": its number, ids as in the instance, how long it
                               is open, arguments in hexadecimal (of openat2 its flags and mode),
                               path or address (may be empty), of two paths both: /old//new. Bytes
                               of the text that are not printable ASCII, and the backslash, are
                               \xNN. Those that are open are told again after KW_EVENT_HELLO */
    KW_EVENT_ANSWERED = 29, /* value: a question's number; extra: 1 allowed, 0 refused, 2 nobody
                               answered in time, 3 withdrawn: the caller is gone, or a signal ended
                               the call */
    KW_EVENT_NETWORK = 30 /* value: 0 the instance waits for KW_CONTROL_NETWORK, 1 the process that
                             drove its network ended; with two descriptors, the instance's user
                             and network namespaces. Told in the foreground, and to those who
                             said KW_CONTROL_HELLO; as long as it is so, again after that */
};
#define KW_NETWORK_READY 1  /* the program may begin */
#define KW_NETWORK_FAILED 2 /* text: why; the start fails, where the program has not begun */
#define KW_NETWORK_DRIVER                                                                          \
    3 /* two descriptors: pidfd of the process that drives the network from now on, and            \
         its lifeline, at the end of whose last copy it ends: supervise keeps both, and            \
         ends it with the instance, or for the next one */
#define KW_ATTACH_STDIN 1
#define KW_ATTACH_OUTPUT 2
#define KW_ATTACH_CLOSE_STDIN 4 /* the end of this input is the end of the program's */

struct kw_message {
    uint32_t type;
    uint32_t value;
    uint32_t extra;
    uint32_t padding;
    uint64_t time_ns; /* CLOCK_MONOTONIC */
    char text[KW_ERROR_MAX];
};

/* What stays of a hosted instance. The file is as large before, with zeros in it; the magic number
 * is written last. */
enum kw_exit_reason {
    KW_EXIT_EXITED = 0,
    KW_EXIT_FAILED = 1, /* it did not start */
    KW_EXIT_MEMORY = 2  /* killed beyond resident_limit */
};
struct kw_exit {
    uint32_t magic;
    uint32_t version;
    uint32_t size;
    uint32_t reason;
    uint32_t status;         /* as of KW_EVENT_EXITED */
    uint32_t failed_status;  /* as of KW_EVENT_FAILED; 0: it did not fail */
    uint64_t started_ns;     /* CLOCK_REALTIME */
    uint64_t ended_ns;       /* CLOCK_REALTIME */
    uint64_t lost_log;       /* bytes of records that could not be written */
    char text[KW_ERROR_MAX]; /* of the event that told the end */
};

/* The statistics page. Written by possibly hostile monitors: bound every value read. */
struct kw_call_stats {
    uint64_t count;
    uint64_t failed;                  /* returned an error */
    uint64_t refused;                 /* by class or policy */
    uint64_t time_ns;                 /* spent in the monitor and the host, waiting included */
    uint32_t histogram[KW_HISTOGRAM]; /* [i]: calls of 2^i to 2^(i+1) ns */
};
struct kw_stats {
    uint32_t magic;
    uint32_t version;
    uint32_t size;
    uint32_t reserved;
    uint64_t launched_ns;  /* monitor main entered, CLOCK_MONOTONIC */
    uint64_t first_run_ns; /* just before the first guest instruction */
    uint64_t exits;        /* returns from KVM_RUN */
    uint64_t faults;       /* guest exceptions and unreachable pages */
    uint64_t processes;    /* ever started */
    uint64_t threads;      /* ever started */
    uint64_t peak_memory;  /* bytes: largest resident set seen, summed over processes at exit */
    uint32_t exit_signal;  /* that ended pid 1 (the kernel reports it as an exit code) */
    uint32_t exit_valid;
    uint32_t crash_signal; /* of pid 1: fault that ended it */
    uint32_t crash_code;
    uint64_t crash_address;
    uint64_t crash_rip;
    char crash_mapping[128];    /* what lies at the address: file, [heap], [stack] or "" */
    char failure[KW_ERROR_MAX]; /* why the monitor itself gave up; with failure_status */
    uint32_t failure_status;    /* 125, 126 or 127; 0: it did not */
    uint32_t syscall_ring; /* 1 + ring where SYSCALL landed: 1 (hardware) or 4 (stays in ring 3) */
    struct kw_call_stats calls[KW_CALL_LIMIT];
};
/* cdef: end */

_Static_assert(sizeof(struct kw_mount) == 24, "kw_mount is part of the ABI");
_Static_assert(sizeof(struct kw_tap) == 128, "kw_tap is part of the ABI");
_Static_assert(sizeof(struct kw_message) == 24 + KW_ERROR_MAX, "kw_message is part of the ABI");
_Static_assert(sizeof(struct kw_exit) == 48 + KW_ERROR_MAX, "kw_exit is part of the ABI");
_Static_assert(sizeof(struct kw_call_stats) == 32 + 4 * KW_HISTOGRAM,
               "kw_call_stats is part of the ABI");

#endif
