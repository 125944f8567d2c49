#include "jail/questions.h"

#include <linux/futex.h>

#include "base/text.h"
#include "jail/kernel.h"
#include "jail/supervisor.h"

#define QUESTIONS_A_SECOND KW_POLICY_QUESTIONS /* what a client can certainly keep up with */
#define CHECK_PERIOD (SECOND_NS / 4)
#define MILLISECOND_NS 1000000ul

static struct answers *answers_of(struct supervisor *supervisor) {
    return &supervisor->policies.questions.answers;
}

static struct kw_message describe(const struct open_question *open) {
    const struct kw_policy_question *question = &open->question;
    const u64 *arg = question->arguments;
    u64 now = clock_monotonic(), left = open->until > now ? open->until - now : 0;
    struct kw_message event = {.type = KW_EVENT_QUESTION,
                               .value = question->rule,
                               .extra = question->call,
                               .time_ns = open->asked};
    format(event.text, sizeof event.text, "%u %u %u %lu %lx %lx %lx %lx %lx %lx %s", open->number,
           question->pid, question->tid, left / MILLISECOND_NS, arg[0], arg[1], arg[2], arg[3],
           arg[4], arg[5], question->text);
    return event;
}

static void end(struct supervisor *supervisor, u32 place, enum kw_policy_ending ending) {
    struct answers *answers = answers_of(supervisor);
    struct kw_message event = {
        .type = KW_EVENT_ANSWERED, .value = answers->open[place].number, .extra = ending};
    u32 *futex = answers_end(answers, place, ending);
    host(__NR_futex, futex, FUTEX_WAKE, 0x7fffffff);
    control_tell(supervisor, &event);
}

static void take(struct supervisor *supervisor, u32 place, u64 now) {
    struct questions *questions = &supervisor->policies.questions;
    u64 until = now + policies_ask_ms(&supervisor->policies) * MILLISECOND_NS;
    questions->told++;
    if (!answers_take(&questions->answers, place, now, until))
        return;
    struct kw_message event = describe(&questions->answers.open[place]);
    control_tell(supervisor, &event);
}

/* Returns when to look at the place again. */
static u64 tend(struct supervisor *supervisor, u32 place, u64 now) {
    struct questions *questions = &supervisor->policies.questions;
    struct answers *answers = &questions->answers;
    struct open_question *open = &answers->open[place];
    if (answers_left(answers, place) || (open->number && supervisor->exited))
        end(supervisor, place, KW_POLICY_WITHDRAWN);
    if (open->number && now >= open->until)
        end(supervisor, place, KW_POLICY_UNANSWERED);
    if (answers_waits(answers, place) && !supervisor->exited) {
        if (questions->told == QUESTIONS_A_SECOND)
            return questions->window_end;
        take(supervisor, place, now);
    }
    return open->number ? open->until : 0;
}

/* A thread that was killed leaves its place behind. In the foreground, where the instance's procfs
 * is not at hand, the time-out ends its question. */
static void free_places_of_the_dead(struct supervisor *supervisor) {
    struct answers *answers = answers_of(supervisor);
    for (u32 i = 0; supervisor->hosted && i < KW_POLICY_QUESTIONS; i++) {
        u32 tid = answers_holder(answers, i);
        if (tid && !resident_lives(supervisor->hosted->join[JOIN_PROC], tid))
            answers_free(answers, i, tid);
    }
}

static bool any_place_is_held(const struct answers *answers) {
    for (u32 i = 0; i < KW_POLICY_QUESTIONS; i++)
        if (answers_holder(answers, i))
            return true;
    return false;
}

u64 questions_tend(struct supervisor *supervisor, u64 now) {
    struct questions *questions = &supervisor->policies.questions;
    u64 next = 0;
    if (!questions->possible || !supervisor->running) /* the start is told first */
        return 0;
    if (now >= questions->window_end) {
        questions->window_end = now + SECOND_NS;
        questions->told = 0;
    }
    if (questions->check_at && now >= questions->check_at) {
        free_places_of_the_dead(supervisor);
        questions->check_at = 0;
    }
    for (u32 i = 0; i < KW_POLICY_QUESTIONS; i++)
        next = earliest(next, tend(supervisor, i, now));
    if (supervisor->exited || !any_place_is_held(&questions->answers))
        questions->check_at = 0;
    else if (!questions->check_at)
        questions->check_at = now + CHECK_PERIOD;
    return earliest(next, questions->check_at);
}

void questions_tell_again(struct supervisor *supervisor, struct connection *connection) {
    const struct answers *answers = answers_of(supervisor);
    for (u32 i = 0; i < KW_POLICY_QUESTIONS && connection->fd >= 0; i++) {
        if (!answers->open[i].number)
            continue;
        struct kw_message event = describe(&answers->open[i]);
        control_send(supervisor, connection, &event, NULL, 0);
    }
}

void questions_answer(struct supervisor *supervisor, u32 number, u32 answer) {
    struct answers *answers = answers_of(supervisor);
    if (!number || answer > KW_POLICY_ALLOWED)
        return;
    for (u32 i = 0; i < KW_POLICY_QUESTIONS; i++)
        if (answers->open[i].number == number)
            end(supervisor, i, answers_left(answers, i) ? KW_POLICY_WITHDRAWN : answer);
}
