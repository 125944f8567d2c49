/* Writing BPF backwards, from the last instruction to the first: where something goes on is written
 * before what leads there, so that every jump is known when it is written. */
#ifndef KW_JAIL_PROGRAM_CODE_H
#define KW_JAIL_PROGRAM_CODE_H

#include <linux/filter.h>

#include "abi/kw_policy.h"
#include "base/types.h"

#define PROGRAM_CODE_MAX 4096u /* BPF_MAXINSNS */
#define PROGRAM_CODE_RETURNS 8u

/* Where to go on. */
struct label {
    u32 at;    /* instructions from here to the end; 0: nothing was written, `value` is returned */
    u32 value; /* of SECCOMP_RET_* */
    u32 needs; /* the word of struct seccomp_data that has to be loaded there; 0: none */
};

struct code {
    struct sock_filter *instructions; /* of PROGRAM_CODE_MAX: the last ones are written */
    u32 length;                       /* beyond PROGRAM_CODE_MAX: it was too long, and is spoilt */
    struct label returns[PROGRAM_CODE_RETURNS]; /* the last ones of different values */
    u32 return_count;
};

static inline struct label code_returning(u32 value) {
    return (struct label){.value = value};
}

static inline bool code_same(struct label one, struct label other) {
    return one.at == other.at && (one.at || one.value == other.value);
}

/* Each of these writes in front of what there is, and returns where it begins; `yes` and `no` say
 * where to go on. */

/* The condition holds for the arguments. */
struct label code_condition(struct code *code, const struct kw_policy_condition *condition,
                            struct label yes, struct label no);

/* The word that is loaded there is at least the value. */
struct label code_at_least(struct code *code, u32 value, struct label yes, struct label no);

/* What all calls come to: goes on with what was written last for those of the architecture, with
 * their number loaded. */
void code_begin(struct code *code, u32 architecture, struct label others);

#endif
