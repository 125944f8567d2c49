#include "jail/bare_filter.h"

#include <asm/errno.h>
#include <linux/ioprio.h>
#include <linux/resource.h>
#include <linux/seccomp.h>

#include "jail/kernel.h"
#include "jail/needs.h"

#define OFFSET(field) offsetof(struct seccomp_data, field)
#define LOW(argument) (OFFSET(args[0]) + 8 * (u32)(argument))
#define STREAM_TYPES(flags) SOCK_STREAM | (flags), SOCK_SEQPACKET | (flags)
#define STREAMS                                                                                    \
    STREAM_TYPES(0), STREAM_TYPES(O_CLOEXEC), STREAM_TYPES(O_NONBLOCK),                            \
        STREAM_TYPES(O_CLOEXEC | O_NONBLOCK)
#define EVERYBODY 0xffffffffu /* -1 */
#define VALUES_MAX 8

enum test {
    REFUSE_ALWAYS,
    REFUSE_UNLESS_ONE_OF,
    REFUSE_ONE_OF,
    REFUSE_UNLESS_NULL,
    REFUSE_UNLESS_NULL_IF, /* values: what the other argument is, and which it is */
    REST_IS_SHARED
};

#define LIST(test, call, argument, error, ...)                                                     \
    {NR_##call,    error, test, argument, sizeof((const u32[]){__VA_ARGS__}) / sizeof(u32),        \
     {__VA_ARGS__}},
#define REFUSED(call, error, why) LIST(REFUSE_ALWAYS, call, 0, error, 0)
#define ONLY(call, argument, error, why, ...)                                                      \
    LIST(REFUSE_UNLESS_ONE_OF, call, argument, error, __VA_ARGS__)
#define NONE_OF(call, argument, error, why, ...)                                                   \
    LIST(REFUSE_ONE_OF, call, argument, error, __VA_ARGS__)
#define ONLY_NULL(call, argument, error, why) LIST(REFUSE_UNLESS_NULL, call, argument, error, 0)
#define ONLY_NULL_IF(call, other, value, argument, error, why)                                     \
    LIST(REFUSE_UNLESS_NULL_IF, call, argument, error, value, other)
#define SHARED {0, 0, REST_IS_SHARED, 0, 0, {0}},
static const struct rule {
    u16 call, error;
    u8 test, argument, count;
    u32 values[VALUES_MAX];
} rules[] = {
#include "jail/bare_filter.def"
};

struct writer {
    struct sock_filter *code;
    u32 length;
};

static void emit(struct writer *writer, u16 code, u32 value, u32 yes, u32 no) {
    if (writer->length < BARE_FILTER_MAX)
        writer->code[writer->length] = (struct sock_filter){code, (u8)yes, (u8)no, value};
    writer->length++;
}

static void emit_load(struct writer *writer, u32 offset) {
    emit(writer, BPF_LD | BPF_W | BPF_ABS, offset, 0, 0);
}

/* Skips the refusal behind it where the argument is NULL. */
static void emit_null_test(struct writer *writer, u32 argument) {
    emit_load(writer, LOW(argument));
    emit(writer, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 2);
    emit_load(writer, LOW(argument) + 4);
    emit(writer, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
}

/* Skips the refusal behind it where the argument is one of the values, or where it is none. */
static void emit_list_test(struct writer *writer, const struct rule *rule) {
    bool only = rule->test == REFUSE_UNLESS_ONE_OF;
    emit_load(writer, LOW(rule->argument));
    for (u32 i = 0; i < rule->count; i++) {
        u32 left = rule->count - i;
        if (only)
            emit(writer, BPF_JMP | BPF_JEQ | BPF_K, rule->values[i], left, 0);
        else
            emit(writer, BPF_JMP | BPF_JEQ | BPF_K, rule->values[i], left - 1, left == 1 ? 1 : 0);
    }
}

/* Refuses, or goes on behind what it writes with the number of the call loaded. */
static void emit_rule(struct writer *writer, const struct rule *rule) {
    u32 node = writer->length;
    emit(writer, BPF_JMP | BPF_JEQ | BPF_K, rule->call, 0, 0);
    if (rule->test == REFUSE_UNLESS_NULL_IF) {
        emit_load(writer, LOW(rule->values[1]));
        emit(writer, BPF_JMP | BPF_JEQ | BPF_K, rule->values[0], 0, 5);
    }
    if (rule->test == REFUSE_UNLESS_NULL || rule->test == REFUSE_UNLESS_NULL_IF)
        emit_null_test(writer, rule->argument);
    else if (rule->test != REFUSE_ALWAYS)
        emit_list_test(writer, rule);
    emit(writer, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | rule->error, 0, 0);
    if (rule->test != REFUSE_ALWAYS)
        emit_load(writer, OFFSET(nr));
    if (writer->length <= BARE_FILTER_MAX)
        writer->code[node].jf = (u8)(writer->length - node - 1);
}

u32 bare_filter_make(bool shares_id, struct sock_filter code[BARE_FILTER_MAX]) {
    struct writer writer = {.code = code};
    emit_load(&writer, OFFSET(nr));
    for (u32 i = 0; i < array_size(rules); i++) {
        if (rules[i].test != REST_IS_SHARED)
            emit_rule(&writer, &rules[i]);
        else if (!shares_id)
            break;
    }
    emit(&writer, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    return writer.length;
}

long bare_filter_set(bool shares_id) {
    struct sock_filter code[BARE_FILTER_MAX];
    struct sock_fprog program = {.len = (u16)bare_filter_make(shares_id, code), .filter = code};
    return program.len > BARE_FILTER_MAX ? -E2BIG
                                         : host(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}
