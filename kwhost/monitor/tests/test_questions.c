/* link: policy/questions.c policy/answers.c base/text.c */
/* Both ends of questions: the monitors', and that of supervise. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "policy/answers.h"
#include "policy/questions.h"

const struct kw_policy_table *policy_table;
struct kw_policy_shared *policy_shared;
static struct answers answers;
static u32 rings;

void policy_ring(void) {
    rings++;
}

static void begin(void) {
    free((void *)policy_table);
    free(policy_shared);
    u8 *table = calloc(1, KW_POLICY_TABLE_SIZE);
    policy_table = (struct kw_policy_table *)table;
    policy_shared = calloc(1, sizeof *policy_shared);
    answers = (struct answers){.asked = policy_shared->asked,
                               .answers = (struct kw_policy_answer *)(table + KW_POLICY_ANSWERS)};
}

static struct kw_policy_question about(u32 tid, const char *text) {
    struct kw_policy_question question = {.rule = 3, .call = 83, .pid = 1, .tid = tid};
    strcpy(question.text, text);
    return question;
}

static int ending_of(int place, const struct kw_policy_question *question) {
    enum kw_policy_ending ending;
    return question_has_ended(place, question, *question_futex(place), &ending) ? (int)ending : -1;
}

static void test_an_answer(void) {
    begin();
    struct kw_policy_question question = about(7, "/tmp/x");
    rings = 0;
    int place = question_put(&question);
    CHECK_EQUAL(1, rings);
    CHECK(answers_waits(&answers, (u32)place) && answers_holder(&answers, (u32)place) == 7);
    CHECK(answers_take(&answers, (u32)place, 1, 2));
    CHECK_EQUAL(1, answers.open[place].number);
    CHECK_TEXT("/tmp/x", answers.open[place].question.text);
    CHECK(!answers_waits(&answers, (u32)place) && !answers_left(&answers, (u32)place));
    CHECK_EQUAL(-1, ending_of(place, &question));
    u32 before = *question_futex(place);
    CHECK(answers_end(&answers, (u32)place, KW_POLICY_ALLOWED) == question_futex(place));
    CHECK(before != *question_futex(place));
    CHECK_EQUAL(KW_POLICY_ALLOWED, ending_of(place, &question));
    question_take_back(place, &question);
    CHECK_EQUAL(0, answers_holder(&answers, (u32)place));
    CHECK(!answers_waits(&answers, (u32)place));
}

/* The next question is another one, even if it is the same. */
static void test_an_answer_counts_once(void) {
    begin();
    struct kw_policy_question question = about(7, "/tmp/x");
    int place = question_put(&question);
    answers_take(&answers, (u32)place, 1, 2);
    answers_end(&answers, (u32)place, KW_POLICY_ALLOWED);
    question_take_back(place, &question);
    CHECK_EQUAL(place, question_put(&question));
    CHECK_EQUAL(-1, ending_of(place, &question));
    CHECK(answers_waits(&answers, (u32)place));
    answers_take(&answers, (u32)place, 1, 2);
    CHECK_EQUAL(2, answers.open[place].number);
}

static void test_withdrawal(void) {
    begin();
    struct kw_policy_question question = about(7, ""), again = question;
    int place = question_put(&question);
    answers_take(&answers, (u32)place, 1, 2);
    question_take_back(place, &question);
    CHECK(answers_left(&answers, (u32)place));
    question_put(&again); /* before supervise has seen that the first has gone */
    CHECK(answers_left(&answers, (u32)place));
    answers_end(&answers, (u32)place, KW_POLICY_WITHDRAWN);
    CHECK_EQUAL(-1, ending_of(place, &again));
    CHECK(answers_waits(&answers, (u32)place));
    answers_take(&answers, (u32)place, 1, 2);
    answers_end(&answers, (u32)place, KW_POLICY_REFUSED);
    CHECK_EQUAL(KW_POLICY_REFUSED, ending_of(place, &again));
}

static void test_places_are_limited(void) {
    begin();
    struct kw_policy_question question = about(7, "");
    for (u32 i = 0; i < KW_POLICY_QUESTIONS; i++)
        CHECK(question_put(&question) >= 0);
    CHECK_EQUAL(-1, question_put(&question));
    questions_forget(2);
    CHECK_EQUAL(-1, question_put(&question));
    answers_free(&answers, 5, 8);
    CHECK_EQUAL(-1, question_put(&question));
    answers_free(&answers, 5, 7);
    CHECK_EQUAL(5, question_put(&question));
    questions_forget(1);
    CHECK_EQUAL(0, question_put(&question));
}

/* What somebody else puts into one's place, and gets a yes for, is no answer to one's own. */
static void test_nobody_asks_for_another(void) {
    begin();
    struct kw_policy_question question = about(7, "/etc/shadow"), harmless = about(8, "/tmp/x");
    int place = question_put(&question);
    harmless.serial = question.serial;
    policy_shared->asked[place].question = harmless;
    answers_take(&answers, (u32)place, 1, 2);
    CHECK_TEXT("/tmp/x", answers.open[place].question.text);
    answers_end(&answers, (u32)place, KW_POLICY_ALLOWED);
    CHECK_EQUAL(-1, ending_of(place, &question));
    answers.answers[place].question = question; /* while the next answer is being written */
    answers.answers[place].ended |= KW_POLICY_ENDED_CHANGING;
    CHECK_EQUAL(-1, ending_of(place, &question));
    answers.answers[place].ended = KW_POLICY_ENDED_ONE;
    enum kw_policy_ending ending;
    CHECK(!question_has_ended(place, &question, 0, &ending)); /* read before */
}

static void test_hostile_questions(void) {
    begin();
    struct kw_policy_question question = about(7, "");
    question.rule = KW_POLICY_RULES_MAX;
    CHECK(!answers_take(&answers, (u32)question_put(&question), 1, 2));
    question = about(7, "");
    memset(question.text, 'x', sizeof question.text);
    int place = question_put(&question);
    CHECK(!answers_take(&answers, (u32)place, 1, 2));
    CHECK(!answers_waits(&answers, (u32)place)); /* nor ever again */
    CHECK(!answers_left(&answers, (u32)place));
}

int main(void) {
    test_an_answer();
    test_an_answer_counts_once();
    test_withdrawal();
    test_places_are_limited();
    test_nobody_asks_for_another();
    test_hostile_questions();
    free((void *)policy_table);
    free(policy_shared);
    return check_done();
}
