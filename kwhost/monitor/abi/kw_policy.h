/* System call policies as monitors evaluate them: the table that Python compiles and `supervise`
 * puts into a memfd, and the memory in which monitors count and tell what was denied. What stands
 * between the two cdef markers is also read by cffi (kwhost/core/abi).
 *
 * A policy is one structure of fixed layout: no offset in it can lead out of it, and monitors bound
 * every index once more where they use it, since `supervise` may write a slot anew meanwhile. */
#ifndef KW_POLICY_H
#define KW_POLICY_H

#include <stdint.h>

#include "abi/kw_abi.h"

/* cdef: begin */
#define KW_POLICY_VERSION 1
#define KW_POLICY_MAGIC 0x6b777031
#define KW_POLICY_TABLE_MAGIC 0x6b777032
#define KW_POLICY_LAYERS_MAX 8
#define KW_POLICY_RULES_MAX 8192 /* rule ids are below; 0: no rule decided */
#define KW_POLICY_ARGUMENTS_MAX 1024
#define KW_POLICY_CONDITIONS_MAX 4
#define KW_POLICY_PATHS_MAX 4096
#define KW_POLICY_PATTERN_MAX 255  /* bytes of a path rule's text */
#define KW_POLICY_TEXTS_MAX 262144 /* bytes of all path rules' texts */
#define KW_POLICY_NETWORKS_MAX 2048
#define KW_POLICY_RATES_MAX 32
#define KW_POLICY_QUESTIONS 64 /* open at once in one instance */
#define KW_POLICY_ASK_MS 30000 /* how long one is open where a policy does not say */
#define KW_POLICY_ASK_MS_MAX 3600000
#define KW_CEILING_MAGIC 0x6b777034
#define KW_CEILING_GRANTS_MAX 512
#define KW_CEILING_TEXTS_MAX 65536 /* bytes of all grants' paths */

/* In order of strictness: of the verdicts of several layers the greatest counts, of equal ones that
 * of the first layer. */
enum kw_policy_action {
    KW_POLICY_ALLOW = 0,
    KW_POLICY_LOG = 1,
    KW_POLICY_ASK = 2, /* the call waits until somebody has decided */
    KW_POLICY_ERRNO = 3,
    KW_POLICY_KILL = 4
};

struct kw_policy_verdict {
    uint8_t action;
    uint8_t padding;
    uint16_t error; /* KW_POLICY_ERRNO: 1 to 4095; else 0 */
    uint32_t rule;  /* for counters and events; 0: none */
};

/* (argument & mask) compared with the value, unsigned. The mask is of 32 bits for arguments of
 * which the kernel sees no more (int, unsigned int, mode_t, ...): guests choose the rest. */
enum kw_policy_comparison {
    KW_POLICY_EQUAL = 0,
    KW_POLICY_LEAST = 1, /* at least the value */
    KW_POLICY_MOST = 2   /* at most the value */
};
struct kw_policy_condition {
    uint8_t argument; /* 0 to 5 */
    uint8_t comparison;
    uint8_t padding[6];
    uint64_t mask;
    uint64_t value;
};

/* A rule about the arguments of one call: all conditions hold. */
struct kw_policy_arguments {
    struct kw_policy_verdict verdict;
    uint32_t count; /* of conditions, at least 1 */
    uint32_t padding;
    struct kw_policy_condition conditions[KW_POLICY_CONDITIONS_MAX];
};

/* What a layer says about one call: the first of its argument rules that holds decides (the most
 * specific ones, then the stricter ones, come first), otherwise `verdict`. */
struct kw_policy_call {
    struct kw_policy_verdict verdict;
    uint32_t first; /* in arguments[] */
    uint32_t count;
};

/* A rule about the objects that paths lead to: absolute paths without "." and "..", doubled slashes
 * and one at the end; "/" is the empty text.
 *
 * `literal` bytes of the text are what begins the path: whole components, each byte itself. Exact:
 * this path. Subtree: the directory and everything beneath; the text is the directory's. Glob: the
 * rest of the text is matched with the rest of the path: '*' is any text and '?' any byte but '/';
 * a component of two asterisks is, with the slash before it, nothing or a slash and any text; what
 * follows a backslash is itself, and so is every other byte.
 *
 * The rules of a layer are sorted by the hash of their literal (FNV-1a, 64 bits). Of the literals
 * with a rule that matches the longest decides, by the first of its rules that matches. */
enum kw_policy_path_kind { KW_POLICY_EXACT = 0, KW_POLICY_SUBTREE = 1, KW_POLICY_GLOB = 2 };
#define KW_POLICY_READ 1
#define KW_POLICY_WRITE 2
#define KW_POLICY_EXECUTE 4
struct kw_policy_path {
    uint64_t hash;
    uint32_t text; /* offset in texts[] */
    uint8_t length;
    uint8_t literal;
    uint8_t kind;
    uint8_t access;                   /* granted */
    struct kw_policy_verdict refused; /* when more is wanted */
};

/* A rule about addresses; IPv4 ones are ::ffff:a.b.c.d with a prefix of 96 bits more. The rules of
 * a layer are sorted by direction, prefix length (longest first) and address (as a number). Of the
 * prefixes with a rule that matches the longest decides, by the first of its rules that matches. A
 * connection to the unspecified address is one to the loopback address, as on Linux. */
enum kw_policy_direction {
    KW_POLICY_TO = 0,    /* connect, and sending to an address */
    KW_POLICY_LISTEN = 1 /* bind to a port that is not 0, and listen */
};
struct kw_policy_network {
    uint8_t address[16]; /* bits behind the prefix are 0 */
    uint8_t prefix;      /* 0 to 128 */
    uint8_t direction;
    uint8_t protocol; /* of IP; 0: any */
    uint8_t padding;
    uint16_t port_first; /* any port: 0 to 65535 */
    uint16_t port_last;
    struct kw_policy_verdict verdict;
};

/* So many of these calls together, by the whole instance. */
struct kw_policy_rate {
    struct kw_policy_verdict verdict; /* of those beyond it */
    uint64_t interval_ns;             /* between two calls in the long run; 1 to 10^15 */
    uint32_t burst;                   /* calls at once; 1 to 65535 */
    uint32_t padding;
    uint64_t calls[8]; /* bits by call number */
};

struct kw_policy_layer {
    struct kw_policy_verdict unknown; /* call numbers from KW_CALL_LIMIT on */
    uint32_t path_first;              /* in paths[] */
    uint32_t path_count;
    uint32_t other_access; /* granted where no path rule matches */
    uint32_t padding;
    struct kw_policy_verdict other_path; /* and when more is wanted */
    uint32_t network_first;              /* in networks[] */
    uint32_t network_count;
    struct kw_policy_verdict other_address; /* where no network rule matches: KW_POLICY_TO */
    struct kw_policy_verdict other_listen;  /* KW_POLICY_LISTEN */
    struct kw_policy_call calls[KW_CALL_LIMIT];
};

/* What KW_CONTROL_POLICY and the launch record's policy_fd hold, from offset 0 of a memfd. */
struct kw_policy {
    uint32_t magic;
    uint32_t version;
    uint32_t size; /* of this structure */
    uint32_t layer_count;
    uint32_t argument_count;
    uint32_t path_count;
    uint32_t network_count;
    uint32_t rate_count;
    uint32_t text_size;
    uint32_t ask_timeout_ms; /* at most KW_POLICY_ASK_MS_MAX; 0: KW_POLICY_ASK_MS */
    uint32_t reserved[6];
    /* Made by supervise, 0 before: what there is to look at besides plain permission. */
    uint32_t looks; /* KW_POLICY_LOOKS_* of any call */
    uint32_t padding;
    uint8_t call_looks[KW_CALL_LIMIT]; /* KW_POLICY_LOOKS_CALL, _RATE */
    struct kw_policy_layer layers[KW_POLICY_LAYERS_MAX];
    struct kw_policy_arguments arguments[KW_POLICY_ARGUMENTS_MAX];
    struct kw_policy_path paths[KW_POLICY_PATHS_MAX];
    struct kw_policy_network networks[KW_POLICY_NETWORKS_MAX];
    struct kw_policy_rate rates[KW_POLICY_RATES_MAX];
    char texts[KW_POLICY_TEXTS_MAX];
};
#define KW_POLICY_LOOKS_CALL 1
#define KW_POLICY_LOOKS_RATE 2
#define KW_POLICY_LOOKS_PATH 4
#define KW_POLICY_LOOKS_NETWORK 8

/* How far the policies of an instance may be widened while it runs, which its jail is made from:
 * what the launch record's ceiling_fd holds, from offset 0 of a memfd. Permits at least what they
 * do. */
struct kw_ceiling_grant { /* to the object at a path, with `beneath` also to all below it */
    uint32_t text;        /* offset in texts[]: absolute, plain names only, ended by a NUL */
    uint16_t length;      /* at least 1 ("/") */
    uint8_t access;       /* KW_POLICY_READ and so on */
    uint8_t beneath;      /* 0 or 1 */
};
struct kw_ceiling_layer {
    uint32_t first; /* in grants[] */
    uint32_t count; /* 0: no file at all */
};
struct kw_ceiling {
    uint32_t magic;
    uint32_t version; /* KW_POLICY_VERSION */
    uint32_t size;    /* up to the end of the last text */
    uint32_t layer_count;
    uint32_t grant_count;
    uint32_t text_size;
    uint32_t reserved[2];
    uint64_t calls[KW_CALL_LIMIT / 64]; /* bits by call number: those that may ever be made */
    /* Of layers that may be at odds with some access to files: what they all grant holds. */
    struct kw_ceiling_layer layers[KW_POLICY_LAYERS_MAX];
    struct kw_ceiling_grant grants[KW_CEILING_GRANTS_MAX];
    char texts[KW_CEILING_TEXTS_MAX]; /* text_size of them are there */
};

#define KW_POLICY_TEXT_MAX 256

/* A call that waits for an answer. */
struct kw_policy_question {
    uint64_t serial; /* not that of the question before it in the same place */
    uint32_t rule;
    uint32_t call;
    uint32_t pid; /* as in the instance */
    uint32_t tid;
    uint64_t arguments[6];         /* 0: the call has no such argument */
    char text[KW_POLICY_TEXT_MAX]; /* path or address, in full; as in KW_EVENT_QUESTION */
};

enum kw_policy_ending { /* as in KW_EVENT_ANSWERED */
                        KW_POLICY_REFUSED = 0,
                        KW_POLICY_ALLOWED = 1,
                        KW_POLICY_UNANSWERED = 2,
                        KW_POLICY_WITHDRAWN = 3
};

/* How the last question in a place has ended, for the one who asked it. The question is there to be
 * compared with one's own: others might have put theirs into the same place. It counts if `ended`
 * is the same before and after it was read, and not being changed. */
#define KW_POLICY_ENDED_CHANGING 1
#define KW_POLICY_ENDED_SHIFT 1 /* enum kw_policy_ending, 2 bits */
#define KW_POLICY_ENDED_ONE 8   /* counted above that */
struct kw_policy_answer {
    uint32_t ended; /* futex */
    uint32_t padding;
    struct kw_policy_question question;
};

/* The memfd that monitors map read-only and supervise alone writes: this header, two policies at
 * KW_POLICY_SLOTS and KW_POLICY_SLOT_SIZE behind it, and one kw_policy_answer for each place of a
 * question at KW_POLICY_ANSWERS. The policy in force is number generation & 1. */
#define KW_POLICY_SLOTS 4096
#define KW_POLICY_SLOT_SIZE 1048576
#define KW_POLICY_ANSWERS 2101248
#define KW_POLICY_TABLE_SIZE 2125824
struct kw_policy_table {
    uint32_t magic;
    uint32_t version;
    uint32_t size; /* of the memfd */
    uint32_t control;
    uint64_t generation;
};

/* What monitors write: in the memfd of the statistics page, from KW_POLICY_SHARED_OFFSET on. They
 * may be hostile: bound every value read. */
#define KW_POLICY_SHARED_OFFSET 131072
#define KW_POLICY_RING 256
struct kw_policy_count {
    uint64_t hits;   /* verdicts other than plain permission, of rates those beyond it */
    uint64_t denied; /* errno and kill */
};
struct kw_policy_event {
    uint64_t sequence; /* 1 + number of the event; 0 while it is written */
    uint64_t time_ns;  /* CLOCK_MONOTONIC */
    uint32_t rule;
    uint32_t call;
    uint32_t pid; /* as in the instance */
    uint32_t tid;
    uint32_t action;
    uint32_t error;
    uint64_t arguments[6];
    char text[KW_POLICY_TEXT_MAX]; /* path or address; "" without */
};
struct kw_policy_asked { /* a place for a question */
    uint32_t holder;     /* 0: free; else thread id << 1, and 1 once the question is complete */
    uint32_t padding;
    struct kw_policy_question question;
};
struct kw_policy_shared {
    uint64_t buckets[KW_POLICY_RATES_MAX];
    struct kw_policy_count counts[KW_POLICY_RULES_MAX];
    uint64_t written; /* events ever */
    uint32_t waiting; /* 1: supervise wants its bell rung */
    uint32_t padding;
    struct kw_policy_event events[KW_POLICY_RING];
    uint64_t questions; /* ever asked: their serial numbers */
    struct kw_policy_asked asked[KW_POLICY_QUESTIONS];
};
/* cdef: end */

_Static_assert(sizeof(struct kw_policy_verdict) == 8, "kw_policy_verdict is part of the ABI");
_Static_assert(sizeof(struct kw_policy_condition) == 24, "kw_policy_condition is part of the ABI");
_Static_assert(sizeof(struct kw_policy_arguments) == 112, "kw_policy_arguments is part of the ABI");
_Static_assert(sizeof(struct kw_policy_call) == 16, "kw_policy_call is part of the ABI");
_Static_assert(sizeof(struct kw_policy_path) == 24, "kw_policy_path is part of the ABI");
_Static_assert(sizeof(struct kw_policy_network) == 32, "kw_policy_network is part of the ABI");
_Static_assert(sizeof(struct kw_policy_rate) == 88, "kw_policy_rate is part of the ABI");
_Static_assert(sizeof(struct kw_ceiling_grant) == 8, "kw_ceiling_grant is part of the ABI");
_Static_assert(KW_CALL_LIMIT % 64 == 0, "a bit for each call");
_Static_assert(sizeof(struct kw_policy) <= KW_POLICY_SLOT_SIZE, "a policy fits its slot");
_Static_assert(sizeof(struct kw_policy_question) == 328, "kw_policy_question is part of the ABI");
_Static_assert(KW_POLICY_ANSWERS == KW_POLICY_SLOTS + 2 * KW_POLICY_SLOT_SIZE, "behind both");
_Static_assert(KW_POLICY_ANSWERS + KW_POLICY_QUESTIONS * sizeof(struct kw_policy_answer) <=
                   KW_POLICY_TABLE_SIZE,
               "the answers fit the table");
_Static_assert(sizeof(struct kw_stats) <= KW_POLICY_SHARED_OFFSET, "the statistics end before it");

#endif
