#include "policy/questions.h"

#include "base/text.h"

bool question_write_text(struct kw_policy_question *question, const char *text) {
    struct text to = {.data = question->text, .size = sizeof question->text};
    for (; *text && !to.overflow; text++)
        text_add(&to, *text < ' ' || *text > '~' || *text == '\\' ? "\\x%02x" : "%c", *text & 0xff);
    return !to.overflow;
}

bool question_is_same(const struct kw_policy_question *one,
                      const struct kw_policy_question *other) {
    u64 from = offsetof(struct kw_policy_question, rule);
    return !memcmp((const u8 *)one + from, (const u8 *)other + from, sizeof *one - from);
}

static u32 holder_of(const struct kw_policy_question *question) {
    return question->tid << 1;
}

static struct kw_policy_asked *take_place(u32 holder, int *place) {
    for (*place = 0; *place < KW_POLICY_QUESTIONS; ++*place) {
        struct kw_policy_asked *asked = &policy_shared->asked[*place];
        u32 none = 0;
        if (__atomic_compare_exchange_n(&asked->holder, &none, holder, false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED))
            return asked;
    }
    return NULL;
}

int question_put(struct kw_policy_question *question) {
    int place;
    u32 holder = holder_of(question);
    struct kw_policy_asked *asked = take_place(holder, &place);
    if (!asked)
        return -1;
    question->serial = __atomic_add_fetch(&policy_shared->questions, 1, __ATOMIC_RELAXED);
    memcpy(&asked->question, question, sizeof *question);
    __atomic_store_n(&asked->holder, holder | 1, __ATOMIC_RELEASE);
    policy_ring();
    return place;
}

void question_take_back(int place, const struct kw_policy_question *question) {
    u32 mine = holder_of(question) | 1;
    __atomic_compare_exchange_n(&policy_shared->asked[place].holder, &mine, 0, false,
                                __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

static const struct kw_policy_answer *answer_in(int place) {
    const u8 *answers = (const u8 *)policy_table + KW_POLICY_ANSWERS;
    return (const struct kw_policy_answer *)answers + place;
}

const u32 *question_futex(int place) {
    return &answer_in(place)->ended;
}

bool question_has_ended(int place, const struct kw_policy_question *question, u32 ended,
                        enum kw_policy_ending *ending) {
    const struct kw_policy_answer *answer = answer_in(place);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    bool same = !memcmp(&answer->question, question, sizeof *question);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (!same || ended & KW_POLICY_ENDED_CHANGING ||
        __atomic_load_n(&answer->ended, __ATOMIC_RELAXED) != ended)
        return false;
    *ending = ended >> KW_POLICY_ENDED_SHIFT & 3;
    return *ending != KW_POLICY_WITHDRAWN;
}

u32 question_timeout_ms(void) {
    u32 timeout = policy_look().policy->ask_timeout_ms;
    return timeout && timeout <= KW_POLICY_ASK_MS_MAX ? timeout : KW_POLICY_ASK_MS;
}

void questions_forget(u32 pid) {
    /* Most instances never ask, and have no memory for places. */
    if (!__atomic_load_n(&policy_shared->questions, __ATOMIC_RELAXED))
        return;
    for (u32 i = 0; i < KW_POLICY_QUESTIONS; i++) {
        struct kw_policy_asked *asked = &policy_shared->asked[i];
        u32 holder = __atomic_load_n(&asked->holder, __ATOMIC_ACQUIRE);
        if (holder & 1 && asked->question.pid == pid &&
            __atomic_compare_exchange_n(&asked->holder, &holder, 0, false, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED))
            policy_ring();
    }
}
