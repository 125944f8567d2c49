#include "jail/filter.h"

#include <linux/audit.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>

#include "base/own_fd.h"
#include "jail/filter_rules.h"
#include "jail/kernel.h"

#define X32_CALLS 0x40000000u /* numbers of the x32 architecture begin here */

struct writer {
    struct sock_filter *code;
    u32 length;
    u32 own;
    enum filter_role role;
    u8 action[CALL_LIMIT];
};

static u32 emit(struct writer *writer, u16 code, u32 value, u32 yes, u32 no) {
    if (writer->length < FILTER_LENGTH_MAX)
        writer->code[writer->length] = (struct sock_filter){code, (u8)yes, (u8)no, value};
    return writer->length++;
}

static void emit_load(struct writer *writer, u32 offset) {
    emit(writer, BPF_LD | BPF_W | BPF_ABS, offset, 0, 0);
}

static void emit_return(struct writer *writer, enum filter_action action) {
    u32 value = action == ACTION_ALLOW  ? SECCOMP_RET_ALLOW
                : action == ACTION_KILL ? SECCOMP_RET_KILL_PROCESS
                                        : SECCOMP_RET_ERRNO | FILTER_REFUSED;
    emit(writer, BPF_RET | BPF_K, value, 0, 0);
}

static u32 value_of(const struct writer *writer, u64 value) {
    return value == OWN ? writer->own : value == OWN_PATH ? (u32)(u64)own_path : (u32)value;
}

/* Goes on behind what it writes when the test holds, and refuses otherwise. */
static void emit_test(struct writer *writer, const struct limit *limit) {
    static const u16 jumps[] = {
        [TEST_NONE_OF] = BPF_JEQ, [TEST_NO_BITS] = BPF_JSET, [TEST_BELOW] = BPF_JGE};
    emit_load(writer, limit->word);
    for (u32 i = 0; i < limit->count; i++) {
        u32 value = value_of(writer, limit->values[i]);
        u32 left = limit->count - i;
        if (limit->test == TEST_ONE_OF)
            emit(writer, BPF_JMP | BPF_JEQ | BPF_K, value, left, 0);
        else
            emit(writer, BPF_JMP | jumps[limit->test] | BPF_K, value, left - 1, left == 1 ? 1 : 0);
    }
    emit_return(writer, ACTION_REFUSE);
}

static void emit_limit(struct writer *writer, const struct limit *limit) {
    u32 guard = 0;
    if (limit->when != WHEN_ALWAYS) {
        emit_load(writer, limit->guard_word);
        guard = emit(writer, BPF_JMP | BPF_JEQ | BPF_K, value_of(writer, limit->guard), 0, 0);
    }
    emit_test(writer, limit);
    u8 past = (u8)(writer->length - guard - 1);
    if (limit->when == WHEN_IF)
        writer->code[guard].jf = past;
    else if (limit->when == WHEN_UNLESS)
        writer->code[guard].jt = past;
}

static void emit_leaf(struct writer *writer, u32 call) {
    enum filter_action action = call < CALL_LIMIT   ? writer->action[call]
                                : call >= X32_CALLS ? ACTION_KILL
                                                    : ACTION_REFUSE;
    if (action == ACTION_LIMIT) {
        for (u32 i = 0; i < filter_limit_count; i++)
            if (filter_limits[i].role == writer->role && filter_limits[i].call == call)
                emit_limit(writer, &filter_limits[i]);
        action = ACTION_ALLOW;
    }
    emit_return(writer, action);
}

/* Lets the comparison `node` go past all that was written behind it. A conditional jump is a short
 * one: where that is too short there has to be another one. */
static void go_past(struct writer *writer, u32 node) {
    struct sock_filter *code = writer->code + node;
    u32 past = writer->length - node - 1;
    if (past <= 255) {
        code->jt = (u8)past;
    } else if (writer->length < FILTER_LENGTH_MAX) {
        for (u32 i = past; i > 0; i--)
            code[i + 1] = code[i];
        code[1] = (struct sock_filter){BPF_JMP | BPF_JA, 0, 0, past};
        code->jf = 1;
        writer->length++;
    }
}

/* A binary search: the kernel works out once which numbers are always allowed, and does not run the
 * filter for these any more. starts[i] is the first number of a range that is treated alike. */
static void emit_search(struct writer *writer, const u32 *starts, u32 count) {
    if (count == 1) {
        emit_leaf(writer, starts[0]);
        return;
    }
    u32 half = count / 2;
    u32 node = emit(writer, BPF_JMP | BPF_JGE | BPF_K, starts[half], 0, 0);
    emit_search(writer, starts, half);
    go_past(writer, node);
    emit_search(writer, starts + half, count - half);
}

/* Where a range begins: calls with limits stand alone. */
static u32 find_ranges(const struct writer *writer, u32 starts[CALL_LIMIT + 2]) {
    u32 count = 0;
    for (u32 call = 0; call < CALL_LIMIT; call++)
        if (call == 0 || writer->action[call] == ACTION_LIMIT ||
            writer->action[call] != writer->action[call - 1])
            starts[count++] = call;
    starts[count++] = CALL_LIMIT;
    starts[count++] = X32_CALLS;
    return count;
}

u32 filter_make(enum filter_role role, u32 own, const u64 *ceiling,
                struct sock_filter code[FILTER_LENGTH_MAX]) {
    struct writer writer = {.code = code, .own = own, .role = role};
    u32 starts[CALL_LIMIT + 2];
    filter_decide(role, ceiling, writer.action);
    u32 count = find_ranges(&writer, starts);
    emit_load(&writer, 4); /* the architecture */
    emit(&writer, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
    emit_return(&writer, ACTION_KILL);
    emit_load(&writer, 0); /* the number */
    if (writer.action[__NR_ioctl] == ACTION_LIMIT) {
        emit(&writer, BPF_JMP | BPF_JEQ | BPF_K, __NR_ioctl, 1, 0);
        u32 jump = emit(&writer, BPF_JMP | BPF_JA, 0, 0, 0);
        emit_leaf(&writer, __NR_ioctl);
        code[jump].k = writer.length - jump - 1;
        writer.action[__NR_ioctl] = ACTION_REFUSE; /* never comes so far */
    }
    emit_search(&writer, starts, count);
    return writer.length;
}

long filter_set(enum filter_role role, u32 own, const u64 *ceiling) {
    static struct sock_filter code[FILTER_LENGTH_MAX];
    struct sock_fprog program = {.filter = code};
    program.len = (u16)filter_make(role, own, ceiling, code);
    if (program.len > FILTER_LENGTH_MAX)
        return -E2BIG;
    long result = host(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return result < 0 ? result : host(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}
