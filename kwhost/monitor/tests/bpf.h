/* What the kernel makes of a seccomp filter: whether it takes it, and what it decides. */
#ifndef KW_TESTS_BPF_H
#define KW_TESTS_BPF_H

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>

#include "base/types.h"

#define BPF_LENGTH_MAX 4096u
#define BPF_NO_VERDICT 0xffffffffu

/* As bpf_check_classic and seccomp_check_filter do, for the instructions that are used here. */
static inline bool bpf_is_good(const struct sock_filter *code, u32 length) {
    if (length == 0 || length > BPF_LENGTH_MAX || code[length - 1].code != (BPF_RET | BPF_K))
        return false;
    for (u32 i = 0; i < length; i++) {
        u32 left = length - i - 1;
        switch (code[i].code) {
        case BPF_LD | BPF_W | BPF_ABS:
            if (code[i].k >= sizeof(struct seccomp_data) || code[i].k & 3)
                return false;
            break;
        case BPF_JMP | BPF_JA:
            if (code[i].k >= left)
                return false;
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
        case BPF_JMP | BPF_JGE | BPF_K:
        case BPF_JMP | BPF_JGT | BPF_K:
        case BPF_JMP | BPF_JSET | BPF_K:
            if (code[i].jt >= left || code[i].jf >= left)
                return false;
            break;
        case BPF_ALU | BPF_AND | BPF_K:
        case BPF_RET | BPF_K:
            break;
        default:
            return false;
        }
    }
    return true;
}

/* The value that a good filter returns; *steps: how many instructions that takes. */
static inline u32 bpf_run(const struct sock_filter *code, const struct seccomp_data *data,
                          u32 *steps) {
    u32 word = 0;
    for (u32 i = 0;; i++, (*steps)++) {
        const struct sock_filter *at = &code[i];
        switch (at->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            memcpy(&word, (const u8 *)data + at->k, sizeof word);
            break;
        case BPF_JMP | BPF_JA:
            i += at->k;
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
            i += word == at->k ? at->jt : at->jf;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            i += word >= at->k ? at->jt : at->jf;
            break;
        case BPF_JMP | BPF_JGT | BPF_K:
            i += word > at->k ? at->jt : at->jf;
            break;
        case BPF_JMP | BPF_JSET | BPF_K:
            i += word & at->k ? at->jt : at->jf;
            break;
        case BPF_ALU | BPF_AND | BPF_K:
            word &= at->k;
            break;
        case BPF_RET | BPF_K:
            return at->k;
        default:
            return BPF_NO_VERDICT;
        }
    }
}

/* What becomes of a call by the numbers of 64-bit programs. */
static inline u32 bpf_verdict(const struct sock_filter *code, u32 nr, const u64 arg[6]) {
    struct seccomp_data data = {.nr = (int)nr, .arch = AUDIT_ARCH_X86_64};
    u32 steps = 0;
    memcpy(data.args, arg, sizeof data.args);
    return bpf_run(code, &data, &steps);
}

#endif
