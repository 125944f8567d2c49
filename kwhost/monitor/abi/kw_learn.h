/* What `kwhost policy learn` learns from: the memory in which the monitors of an instance note,
 * once each, what its policy let happen, and what it did not. What stands between the two cdef
 * markers is also read by cffi (kwhost/core/abi). */
#ifndef KW_LEARN_H
#define KW_LEARN_H

#include <stdint.h>

/* cdef: begin */
#define KW_LEARN_MAGIC 0x6b776c72
#define KW_LEARN_VERSION 1
#define KW_LEARN_RECORDS 65536
#define KW_LEARN_USED_MAX 57344 /* records; beyond them what is new is lost, and counted */
#define KW_LEARN_TEXT_MAX 512
#define KW_LEARN_PATH_MAX 255 /* bytes of one path, as of a rule's text */
#define KW_LEARN_VALUES_MAX 3

enum kw_learn_kind {
    KW_LEARN_CALL = 1,  /* a call that was permitted; values: those arguments that are noted */
    KW_LEARN_PATH = 2,  /* `access` was had to the path that is the text */
    KW_LEARN_NAMES = 3, /* the text's first path got its second as a name; `access` to the first */
    KW_LEARN_DIRECTORY = 4, /* a directory of this path was moved, here or away */
    KW_LEARN_ADDRESS = 5,   /* values: 16 bytes of the address; port | direction << 16 |
                               protocol << 32, the direction as in enum kw_policy_direction */
    KW_LEARN_MADE = 6,   /* the path was to be made by a call that fails where it is there already:
                            mkdir, or open with O_EXCL */
    KW_LEARN_REFUSED = 7 /* by the policy, with `error`; 0: killed. Values as of KW_LEARN_CALL, or
                            0 with a text: the path or address that it was about */
};
#define KW_LEARN_CUT 1       /* a path was too long: a directory above takes its place */
#define KW_LEARN_CUT_OTHER 2 /* likewise the second path */

/* Whoever comes first claims the record by its hash, and everybody who finds it claimed and not yet
 * ready writes the same into it: none is lost with a thread that was killed on the way. Two
 * different notes with one hash would damage each other; the hash tells. */
struct kw_learnt {
    uint64_t hash;  /* 0: free. FNV-1a, 64 bits, of the bytes from `kind` to the end of the text; a
                       hash of 0 counts as 1 */
    uint32_t ready; /* 1: all of it is written */
    uint8_t kind;
    uint8_t access; /* KW_POLICY_READ, ... */
    uint8_t flags;  /* KW_LEARN_CUT, ... */
    uint8_t padding;
    uint16_t error;
    uint16_t length; /* of the text in bytes; of two paths with a NUL between them */
    uint32_t call;
    uint64_t values[KW_LEARN_VALUES_MAX];
    char text[KW_LEARN_TEXT_MAX];
};

/* In a memfd. Monitors may be hostile: bound every value read. */
struct kw_learn {
    uint32_t magic;
    uint32_t version;
    uint64_t size; /* of this structure */
    uint64_t used; /* records claimed */
    uint64_t lost; /* notes for which there was no record left, each as often as it came */
    struct kw_learnt records[KW_LEARN_RECORDS];
};
/* cdef: end */

_Static_assert((KW_LEARN_RECORDS & (KW_LEARN_RECORDS - 1)) == 0, "used as a mask");
_Static_assert(2 * (KW_LEARN_PATH_MAX + 1) <= KW_LEARN_TEXT_MAX, "two paths fit");

#endif
