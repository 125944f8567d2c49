/* link: policy/validate.c policy/decide.c policy/paths.c policy/glob.c policy/network.c
 * policy/rate.c policy/drain.c policy/answers.c base/text.c */
/* The policy table against anything: what is not checked, or is written anew while it is used,
 * leads nowhere outside. The first half of the input becomes the policy, piece by piece; the rest
 * is what is asked. */
#include <stdlib.h>
#include <string.h>

#include "policy/answers.h"
#include "policy/drain.h"
#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

/* Writes pieces {offset in steps of 8, length, bytes} into the policy. */
static void scribble(u8 *policy, const u8 *data, size_t size) {
    while (size > 4) {
        u64 at = ((u64)data[0] | (u64)data[1] << 8 | (u64)(data[2] & 1) << 16) * 8;
        u64 length = min_u64(data[3] % 64 + 1, size - 4);
        if (at < sizeof(struct kw_policy))
            memcpy(policy + at, data + 4, min_u64(length, sizeof(struct kw_policy) - at));
        data += 4 + length;
        size -= 4 + length;
    }
}

static void ask(const struct kw_policy *policy, const u8 *data, size_t size) {
    static u64 buckets[KW_POLICY_RATES_MAX];
    struct policy_address address = {.port = 80};
    u64 arg[6] = {0};
    char path[512] = "/";
    memcpy(arg, data, min_u64(size, sizeof arg));
    memcpy(address.bytes, data, min_u64(size, sizeof address.bytes));
    memcpy(path + 1, data, min_u64(size, sizeof path - 2));
    policy_call(policy, arg[0] & 1023, arg);
    policy_rates(policy, buckets, arg[0] & 1023, arg[1]);
    policy_path(policy, path, arg[1] & POLICY_ALL);
    policy_new_name(policy, path, "/tmp/x", KW_POLICY_WRITE);
    policy_speaks_beneath(policy, path);
    policy_network(policy, arg[2] & 1, &address);
}

static void drain(const u8 *data, size_t size) {
    struct kw_policy_shared *shared = calloc(1, sizeof *shared);
    struct drain from = {.shared = shared};
    struct kw_policy_event event;
    memcpy(&shared->written, data, min_u64(size, sizeof shared->written));
    memcpy(shared->events, data, min_u64(size, sizeof shared->events));
    for (u32 i = 0; i < 2 * KW_POLICY_RING && drain_take(&from, &event); i++)
        if (strnlen(event.text, sizeof event.text) == sizeof event.text)
            abort();
    free(shared);
}

/* Pieces {place, offset in steps of 4, bytes} are written over the places of questions; supervise
 * looks after each. */
static void answer(const u8 *data, size_t size) {
    struct kw_policy_asked *asked = calloc(KW_POLICY_QUESTIONS, sizeof *asked);
    struct kw_policy_answer *endings = calloc(KW_POLICY_QUESTIONS, sizeof *endings);
    struct answers *answers = calloc(1, sizeof *answers);
    answers->asked = asked;
    answers->answers = endings;
    for (; size > 10; data += 10, size -= 10) {
        u32 place = data[0] % KW_POLICY_QUESTIONS;
        u64 at = data[1] * 4ul % sizeof *asked;
        struct open_question *open = &answers->open[place];
        memcpy((u8 *)&asked[place] + at, data + 2, min_u64(8, sizeof *asked - at));
        if (answers_left(answers, place))
            answers_end(answers, place, KW_POLICY_WITHDRAWN);
        if (answers_waits(answers, place) && answers_take(answers, place, 1, 2) &&
            (!open->number || open->question.rule >= KW_POLICY_RULES_MAX ||
             strnlen(open->question.text, KW_POLICY_TEXT_MAX) == KW_POLICY_TEXT_MAX))
            abort();
        if (open->number && data[0] & 0x80)
            answers_end(answers, place, KW_POLICY_ALLOWED);
        if (data[0] & 0x40)
            answers_free(answers, place, answers_holder(answers, place));
    }
    free(asked);
    free(endings);
    free(answers);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size) {
    struct kw_policy *policy = calloc(1, sizeof *policy); /* so that the sanitizer knows its end */
    scribble((u8 *)policy, data, size / 2);
    policy->magic = KW_POLICY_MAGIC;
    policy->version = KW_POLICY_VERSION;
    policy->size = sizeof *policy;
    if (!policy_check(policy))
        policy_index(policy);
    ask(policy, data + size / 2, size - size / 2);
    drain(data, size);
    answer(data, size);
    free(policy);
    return 0;
}
