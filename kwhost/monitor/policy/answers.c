#include "policy/answers.h"

#include "base/text.h"

static u32 load_holder(const struct answers *answers, u32 place) {
    return __atomic_load_n(&answers->asked[place].holder, __ATOMIC_ACQUIRE);
}

/* Of a complete question in the place; 0: there is none. */
static u64 serial_in(const struct answers *answers, u32 place) {
    const u64 *serial = &answers->asked[place].question.serial;
    return load_holder(answers, place) & 1 ? __atomic_load_n(serial, __ATOMIC_RELAXED) : 0;
}

u32 answers_holder(const struct answers *answers, u32 place) {
    return load_holder(answers, place) >> 1;
}

void answers_free(struct answers *answers, u32 place, u32 tid) {
    u32 holder = load_holder(answers, place);
    if (holder >> 1 == tid)
        __atomic_compare_exchange_n(&answers->asked[place].holder, &holder, 0, false,
                                    __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

bool answers_left(const struct answers *answers, u32 place) {
    const struct open_question *open = &answers->open[place];
    return open->number && serial_in(answers, place) != open->serial;
}

bool answers_waits(const struct answers *answers, u32 place) {
    const struct open_question *open = &answers->open[place];
    u64 serial = serial_in(answers, place);
    return !open->number && serial && serial != open->serial;
}

/* What a hostile monitor changes while it is copied is its own question, or none that anybody else
 * would take an answer of: it is compared. */
bool answers_take(struct answers *answers, u32 place, u64 asked, u64 until) {
    struct open_question *open = &answers->open[place];
    struct kw_policy_question *question = &open->question;
    memcpy(question, &answers->asked[place].question, sizeof *question);
    open->serial = question->serial;
    if (question->rule >= KW_POLICY_RULES_MAX || !memchr(question->text, 0, sizeof question->text))
        return false;
    open->asked = asked;
    open->until = until;
    if (!++answers->numbers) /* 0 is no number */
        answers->numbers++;
    open->number = answers->numbers;
    return true;
}

u32 *answers_end(struct answers *answers, u32 place, enum kw_policy_ending ending) {
    struct open_question *open = &answers->open[place];
    struct kw_policy_answer *answer = &answers->answers[place];
    u32 count = (answer->ended & ~(KW_POLICY_ENDED_ONE - 1u)) + KW_POLICY_ENDED_ONE;
    __atomic_store_n(&answer->ended, count | KW_POLICY_ENDED_CHANGING, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    memcpy(&answer->question, &open->question, sizeof open->question);
    __atomic_store_n(&answer->ended, count | (u32)ending << KW_POLICY_ENDED_SHIFT,
                     __ATOMIC_RELEASE);
    open->number = 0;
    return &answer->ended;
}
