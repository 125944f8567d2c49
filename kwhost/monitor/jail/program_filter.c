#include "jail/program_filter.h"

#include <linux/audit.h>
#include <linux/seccomp.h>

#include "base/text.h"
#include "jail/kernel.h"
#include "jail/program_code.h"
#include "jail/program_rules.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1ul << 5)
#endif
#define X32_FIRST 0x40000000u /* numbers of the x32 architecture */
#define X32_END 0x80000000u
/* For the conditions of all calls together, and of the policy's for one: the rest is enough for any
 * search. What does not fit is the broker's to decide. */
#define CONDITIONS_MAX 2048u
#define CALL_CONDITIONS_MAX 512u

#define ALLOWED code_returning(SECCOMP_RET_ALLOW)
#define NOTIFIED code_returning(SECCOMP_RET_USER_NOTIF)
#define KILLED code_returning(SECCOMP_RET_KILL_PROCESS)
#define FAILING(error) code_returning(SECCOMP_RET_ERRNO | (error))

_Static_assert(PROGRAM_FILTER_MAX == PROGRAM_CODE_MAX, "as much as the kernel takes");
_Static_assert((KW_POLICY_ARGUMENTS_MAX & (KW_POLICY_ARGUMENTS_MAX - 1)) == 0, "used as a mask");

/* Of struct program_rows, those of a call. */
struct some_rows {
    u8 first, count;
};

struct maker {
    const struct program_filter *filter;
    u32 rules; /* PROGRAM_RULES_* */
    struct code code;
    struct some_rows refusals[KW_CALL_LIMIT + 1], performed[KW_CALL_LIMIT + 1];
};

/* From `first` on, up to the next range. */
struct range {
    u32 first;
    struct label to;
};

u32 program_filter_rules(const struct program_filter *filter) {
    const struct kw_policy *policy = filter->policy;
    u32 rules = filter->learn ? PROGRAM_RULES_FILES | PROGRAM_RULES_NETWORK : 0;
    rules |= filter->objects ? PROGRAM_RULES_OBJECTS : 0;
    for (u32 i = 0; policy && i < policy_layers(policy); i++) {
        const struct kw_policy_layer *layer = &policy->layers[i];
        if (program_layer_has_files(layer))
            rules |= filter->files ? PROGRAM_RULES_FILES : PROGRAM_RULES_REST;
        if (layer->network_count || layer->other_address.action || layer->other_listen.action)
            rules |= PROGRAM_RULES_NETWORK;
    }
    return rules;
}

static struct label write_one_of(struct code *code, const struct program_condition *condition,
                                 struct label yes, struct label no) {
    struct kw_policy_condition equal = {.argument = condition->argument, .mask = condition->mask};
    for (u32 i = condition->count; i-- > 0;) {
        equal.value = condition->values[i];
        no = code_condition(code, &equal, yes, no);
    }
    return no;
}

static struct label write_condition(struct code *code, const struct program_condition *condition,
                                    struct label yes, struct label no) {
    struct kw_policy_condition order = {
        .argument = condition->argument, .mask = condition->mask, .value = condition->values[0]};
    switch ((enum program_test)condition->test) {
    case PROGRAM_ONE_OF:
        return write_one_of(code, condition, yes, no);
    case PROGRAM_NONE_OF:
        return write_one_of(code, condition, no, yes);
    case PROGRAM_LEAST:
        order.comparison = KW_POLICY_LEAST;
        break;
    case PROGRAM_MOST:
    default:
        order.comparison = KW_POLICY_MOST;
        break;
    }
    return code_condition(code, &order, yes, no);
}

static struct label write_row(struct code *code, const struct program_row *row, struct label yes,
                              struct label no) {
    for (u32 i = PROGRAM_CONDITIONS; i-- > 0;)
        if (row->conditions[i].count)
            yes = write_condition(code, &row->conditions[i], yes, no);
    return yes;
}

static void find_rows(const struct program_rows *rows, struct some_rows found[KW_CALL_LIMIT + 1]) {
    for (u32 i = rows->count; i-- > 0;) {
        struct some_rows *of = &found[rows->row[i].call];
        *of = (struct some_rows){(u8)i, (u8)(of->count + 1)};
    }
}

/* What the engine refuses; `to` with all else. */
static struct label write_refusals(struct maker *maker, u32 nr, struct label to) {
    const struct program_row *row = program_refusals.row + maker->refusals[nr].first;
    u32 error = program_refuses_all(nr);
    for (u32 i = maker->refusals[nr].count; i-- > 0;)
        to = write_row(&maker->code, &row[i], FAILING(row[i].what), to);
    return error ? FAILING(error) : to;
}

/* What the broker makes; `to` with all else. */
static struct label write_performed(struct maker *maker, u32 nr, struct label to) {
    const struct program_row *row = program_performed.row + maker->performed[nr].first;
    for (u32 i = maker->performed[nr].count; i-- > 0;)
        if (row[i].what & maker->rules)
            to = write_row(&maker->code, &row[i], NOTIFIED, to);
    return to;
}

static bool is_plain(struct kw_policy_verdict verdict) {
    return verdict.action == KW_POLICY_ALLOW;
}

static struct label write_arguments(struct code *code, const struct kw_policy_arguments *rule,
                                    struct label yes, struct label no) {
    u32 count = rule->count;
    for (u32 i = count < KW_POLICY_CONDITIONS_MAX ? count : KW_POLICY_CONDITIONS_MAX; i-- > 0;)
        yes = code_condition(code, &rule->conditions[i], yes, no);
    return yes;
}

/* What a layer permits plainly goes on at `to`. */
static struct label write_layer(struct maker *maker, const struct kw_policy_layer *layer, u32 nr,
                                struct label to) {
    struct code *code = &maker->code;
    if (nr >= KW_CALL_LIMIT)
        return is_plain(layer->unknown) ? to : NOTIFIED;
    const struct kw_policy_call *call = &layer->calls[nr];
    struct label next = is_plain(call->verdict) ? to : NOTIFIED;
    u32 begin = code->length;
    for (u32 i = call->count; i-- > 0;) {
        const struct kw_policy_arguments *rule =
            &maker->filter->policy->arguments[(call->first + i) & (KW_POLICY_ARGUMENTS_MAX - 1)];
        next = write_arguments(code, rule, is_plain(rule->verdict) ? to : NOTIFIED, next);
        if (code->length - begin > CALL_CONDITIONS_MAX)
            return NOTIFIED;
    }
    return next;
}

static bool is_rated(const struct kw_policy *policy, u32 nr) {
    bool rated = false;
    u32 count = min_u64(policy->rate_count, KW_POLICY_RATES_MAX);
    for (u32 i = 0; i < count && nr < KW_CALL_LIMIT; i++)
        rated |= policy->rates[i].calls[nr / 64] >> nr % 64 & 1;
    return rated;
}

/* All calls of a number are the broker's to decide. */
static bool is_never_plain(const struct program_filter *filter, u32 nr) {
    const u64 *ceiling = filter->ceiling;
    return (ceiling && nr < KW_CALL_LIMIT && !(ceiling[nr / 64] >> nr % 64 & 1)) ||
           (filter->policy && is_rated(filter->policy, nr));
}

bool program_filter_asks_to_begin(const struct program_filter *filter) {
    const struct kw_policy *policy = filter->policy;
    bool asks = filter->learn || is_never_plain(filter, __NR_execve);
    for (u32 i = 0; policy && i < policy_layers(policy); i++) {
        const struct kw_policy_call *call = &policy->layers[i].calls[__NR_execve];
        asks |= call->count || !is_plain(call->verdict);
    }
    return asks;
}

/* What the policy permits plainly goes on at `to`, all else is the broker's. */
static struct label write_policy(struct maker *maker, u32 nr, struct label to) {
    const struct program_filter *filter = maker->filter;
    if (is_never_plain(filter, nr) || (nr == __NR_execve && program_filter_asks_to_begin(filter)))
        return NOTIFIED;
    for (u32 i = filter->policy ? policy_layers(filter->policy) : 0; i-- > 0;)
        to = write_layer(maker, &filter->policy->layers[i], nr, to);
    return to;
}

/* On the way to the program supervise is told. */
static struct label write_channel(struct maker *maker, u32 nr, struct label to) {
    const struct kw_policy_condition channel = {.mask = 0xffffffff,
                                                .value = (u32)maker->filter->channel};
    if (maker->filter->channel < 0 || (nr != __NR_sendmsg && nr != __NR_write))
        return to;
    return code_condition(&maker->code, &channel, ALLOWED, to);
}

static struct label write_call(struct maker *maker, u32 nr) {
    struct code before = maker->code;
    if (program_passes(nr))
        return ALLOWED;
    /* What is refused is learnt as well: programs fall back on something else. */
    struct label to = maker->filter->learn ? NOTIFIED : write_refusals(maker, nr, ALLOWED);
    to = write_performed(maker, nr, to);
    to = write_policy(maker, nr, to);
    if (maker->code.length > CONDITIONS_MAX)
        to = NOTIFIED;
    if (!to.at) /* nothing of what was written is needed */
        maker->code = before;
    return write_channel(maker, nr, to);
}

/* A binary search; the kernel works out once which numbers are always allowed, and does not run the
 * filter for these any more. */
static struct label write_search(struct code *code, const struct range *ranges, u32 count) {
    if (count == 1)
        return ranges[0].to;
    u32 half = count / 2;
    struct label above = write_search(code, ranges + half, count - half);
    struct label below = write_search(code, ranges, half);
    return code_at_least(code, ranges[half].first, above, below);
}

static u32 find_ranges(struct maker *maker, struct range ranges[KW_CALL_LIMIT + 3]) {
    u32 count = 0;
    for (u32 nr = 0; nr <= KW_CALL_LIMIT; nr++) { /* the last one: numbers beyond */
        struct label to = write_call(maker, nr);
        if (!count || !code_same(to, ranges[count - 1].to))
            ranges[count++] = (struct range){nr, to};
    }
    struct label unknown = ranges[count - 1].to;
    ranges[count++] = (struct range){X32_FIRST, KILLED};
    ranges[count++] = (struct range){X32_END, unknown};
    return count;
}

u32 program_filter_make(const struct program_filter *filter,
                        struct sock_filter code[PROGRAM_FILTER_MAX]) {
    struct maker maker = {
        .filter = filter, .rules = program_filter_rules(filter), .code.instructions = code};
    struct range ranges[KW_CALL_LIMIT + 3];
    find_rows(&program_refusals, maker.refusals);
    find_rows(&program_performed, maker.performed);
    u32 count = find_ranges(&maker, ranges);
    write_search(&maker.code, ranges, count);
    code_begin(&maker.code, AUDIT_ARCH_X86_64, KILLED);
    u32 length = maker.code.length;
    if (length <= PROGRAM_FILTER_MAX)
        memmove(code, code + PROGRAM_FILTER_MAX - length, length * sizeof *code);
    return length;
}

long program_filter_set(const struct program_filter *filter) {
    static struct sock_filter code[PROGRAM_FILTER_MAX];
    u32 length = program_filter_make(filter, code);
    struct sock_fprog program = {.len = (u16)length, .filter = code};
    u32 flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    if (length > PROGRAM_FILTER_MAX)
        return -E2BIG;
    return host(__NR_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}
