#include "jail/program_code.h"

#include <linux/seccomp.h>

#define REACH 250u /* a conditional jump goes over 255, and a few instructions come before it */
#define NOTHING                                                                                    \
    0u /* is loaded: the number of the call is there, too, but nothing skips its load              \
        */
#define LOW(argument) (offsetof(struct seccomp_data, args) + 8u * ((argument) < 6 ? (argument) : 5))
#define HIGH(argument) (LOW(argument) + 4u)

static u32 emit(struct code *code, u16 operation, u32 value, u32 yes, u32 no) {
    if (code->length < PROGRAM_CODE_MAX)
        code->instructions[PROGRAM_CODE_MAX - 1 - code->length] =
            (struct sock_filter){operation, (u8)yes, (u8)no, value};
    return ++code->length;
}

/* A return of the value that is not far, or a new one. */
static u32 returning(struct code *code, u32 value) {
    struct label *place = &code->returns[code->return_count % PROGRAM_CODE_RETURNS];
    for (u32 i = 0; i < PROGRAM_CODE_RETURNS && i < code->return_count; i++)
        if (code->returns[i].value == value) {
            if (code->length - code->returns[i].at < REACH)
                return code->returns[i].at;
            place = &code->returns[i];
        }
    code->return_count += place == &code->returns[code->return_count % PROGRAM_CODE_RETURNS];
    *place = (struct label){.at = emit(code, BPF_RET | BPF_K, value, 0, 0), .value = value};
    return place->at;
}

static u32 jump(struct code *code, u32 to) {
    return emit(code, BPF_JMP | BPF_JA, code->length - to, 0, 0);
}

static u32 load(struct code *code, u32 offset) {
    return emit(code, BPF_LD | BPF_W | BPF_ABS, offset, 0, 0);
}

/* A place for a conditional jump that is written soon and leads to the label, with the word `held`
 * loaded already. What is too far takes a jump of its own, what needs another word its load. */
static u32 near(struct code *code, struct label label, u32 held) {
    if (!label.at)
        return returning(code, label.value);
    bool loads = label.needs && label.needs != held;
    if (loads ? label.at != code->length : code->length - label.at >= REACH)
        label.at = jump(code, label.at);
    return loads ? load(code, label.needs) : label.at;
}

static void branch(struct code *code, u16 test, u32 value, struct label yes, struct label no,
                   u32 held) {
    bool no_is_next = no.at == code->length; /* before anything comes between */
    u32 first = no_is_next ? 0 : near(code, yes, held), second = near(code, no, held);
    if (no_is_next)
        first = near(code, yes, held);
    emit(code, BPF_JMP | BPF_K | test, value, code->length - first, code->length - second);
}

/* Some bits of a word compared with a value. */
static struct label compare(struct code *code, u32 word, u32 mask, u16 test, u32 value,
                            struct label yes, struct label no) {
    if (code_same(yes, no))
        return yes;
    if (mask == ~0u) {
        branch(code, test, value, yes, no, word);
    } else if (test == BPF_JEQ && value == 0) { /* without losing the word's other bits */
        branch(code, BPF_JSET, mask, no, yes, word);
    } else if (test == BPF_JEQ && value == mask && (mask & (mask - 1)) == 0) {
        branch(code, BPF_JSET, mask, yes, no, word);
    } else {
        branch(code, test, value, yes, no, NOTHING);
        emit(code, BPF_ALU | BPF_AND | BPF_K, mask, 0, 0);
    }
    return (struct label){.at = code->length, .needs = word};
}

static struct label equal(struct code *code, const struct kw_policy_condition *condition,
                          struct label yes, struct label no) {
    u32 low = LOW(condition->argument), high = HIGH(condition->argument);
    u64 mask = condition->mask, value = condition->value;
    if (value & ~mask)
        return no;
    struct label next =
        (u32)mask ? compare(code, low, (u32)mask, BPF_JEQ, (u32)value, yes, no) : yes;
    if (!(mask >> 32))
        return next;
    return compare(code, high, (u32)(mask >> 32), BPF_JEQ, (u32)(value >> 32), next, no);
}

/* `test` (at least, or more than) of 64 bits. */
static struct label order(struct code *code, const struct kw_policy_condition *condition, u16 test,
                          struct label yes, struct label no) {
    u32 low = LOW(condition->argument), high = HIGH(condition->argument);
    u32 mask = (u32)(condition->mask >> 32), value = (u32)(condition->value >> 32);
    if (!mask && value)
        return no;
    struct label next =
        compare(code, low, (u32)condition->mask, test, (u32)condition->value, yes, no);
    if (!mask)
        return next;
    next = compare(code, high, mask, BPF_JEQ, value, next, no);
    return compare(code, high, mask, BPF_JGT, value, yes, next);
}

struct label code_condition(struct code *code, const struct kw_policy_condition *condition,
                            struct label yes, struct label no) {
    switch (condition->comparison) {
    case KW_POLICY_EQUAL:
        return equal(code, condition, yes, no);
    case KW_POLICY_LEAST:
        return order(code, condition, BPF_JGE, yes, no);
    default:
        return order(code, condition, BPF_JGT, no, yes);
    }
}

struct label code_at_least(struct code *code, u32 value, struct label yes, struct label no) {
    branch(code, BPF_JGE, value, yes, no, NOTHING);
    return (struct label){.at = code->length};
}

void code_begin(struct code *code, u32 architecture, struct label others) {
    struct label number = {.at = load(code, offsetof(struct seccomp_data, nr))};
    branch(code, BPF_JEQ, architecture, number, others, NOTHING);
    load(code, offsetof(struct seccomp_data, arch));
}
