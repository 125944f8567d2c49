/* link: policy/learn.c base/text.c */
/* Notes of what a program does: each once, by many threads at once, until there is no more room. */
#include <pthread.h>
#include <stdlib.h>
#include <asm/unistd.h>

#include "base/own_fd.h"
#include "check.h"
#include "policy/learn.h"

#define THREADS 4
#define DIFFERENT 5000

u32 own_fd_base(void) {
    return 1000000; /* no descriptor */
}

static void start_anew(void) {
    free(learn_memory);
    learn_memory = calloc(1, sizeof *learn_memory);
}

static u32 count_ready(void) {
    u32 count = 0;
    for (u32 i = 0; i < KW_LEARN_RECORDS; i++)
        count += learn_memory->records[i].hash && learn_memory->records[i].ready;
    return count;
}

static const struct kw_learnt *only_record(void) {
    for (u32 i = 0; i < KW_LEARN_RECORDS; i++)
        if (learn_memory->records[i].hash)
            return &learn_memory->records[i];
    return NULL;
}

static void test_without_memory(void) {
    CHECK_EQUAL(0, learn_start());
    CHECK(!learning());
}

static void test_each_once(void) {
    const u64 tcgets[6] = {0, 0x5401, 77}, again[6] = {1, 0x5401, 88}, other[6] = {1, 0x5402};
    start_anew();
    learn_call(__NR_ioctl, tcgets);
    learn_call(__NR_ioctl, again); /* other descriptor and pointer, nothing new */
    CHECK_EQUAL(1, learn_memory->used);
    learn_call(__NR_ioctl, other);
    learn_path("/etc/passwd", KW_POLICY_READ);
    learn_path("/etc/passwd", KW_POLICY_READ);
    learn_path("/etc/passwd", KW_POLICY_WRITE);
    CHECK_EQUAL(4, learn_memory->used);
    CHECK_EQUAL(4, count_ready());
    CHECK_EQUAL(0, learn_memory->lost);
}

static void test_arguments_as_the_kernel_sees_them(void) {
    const u64 given[6] = {1ul << 40 | 2, 0x80801, 1ul << 33};
    start_anew();
    learn_call(__NR_socket, given);
    const struct kw_learnt *record = only_record();
    CHECK_EQUAL(2, record->values[0]);
    CHECK_EQUAL(1, record->values[1]);
    CHECK_EQUAL(0, record->values[2]);
}

static void test_long_paths_are_cut(void) {
    char path[3000] = "/srv";
    memset(path + 4, 'a', sizeof path - 5);
    for (u32 i = 4; i < sizeof path - 1; i += 50)
        path[i] = '/';
    start_anew();
    learn_path(path, KW_POLICY_READ);
    const struct kw_learnt *record = only_record();
    CHECK_EQUAL(KW_LEARN_CUT, record->flags);
    CHECK_EQUAL(254, record->length);
    CHECK(memcmp(path, record->text, record->length) == 0);
    CHECK(path[record->length] == '/');
    start_anew();
    learn_names("/short", path, 0);
    record = only_record();
    CHECK_EQUAL(KW_LEARN_CUT_OTHER, record->flags);
    CHECK_EQUAL(6 + 1 + 254, record->length);
}

static void test_refusals(void) {
    const struct kw_policy_verdict refused = {.action = KW_POLICY_ERRNO, .error = 38};
    const u64 arg[6] = {17};
    start_anew();
    learn_refused(__NR_socket, arg, refused, "");
    CHECK_EQUAL(17, only_record()->values[0]);
    CHECK_EQUAL(38, only_record()->error);
    start_anew();
    learn_refused(__NR_openat, arg, refused, "/etc/shadow");
    CHECK_EQUAL(0, only_record()->values[0]);
    CHECK_EQUAL(11, only_record()->length);
}

static void note_path(u32 number) {
    char path[32];
    snprintf(path, sizeof path, "/path/%u", number);
    learn_path(path, KW_POLICY_READ);
}

static void *note_many(void *offset) {
    for (u32 i = 0; i < DIFFERENT; i++)
        note_path((u32)((u64)offset * 1237 + i) % DIFFERENT);
    return NULL;
}

static void test_threads_note_the_same(void) {
    pthread_t threads[THREADS];
    start_anew();
    for (u64 i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, note_many, (void *)i);
    for (u32 i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQUAL(DIFFERENT, learn_memory->used);
    CHECK_EQUAL(DIFFERENT, count_ready());
    CHECK_EQUAL(0, learn_memory->lost);
}

/* A thread was killed between claiming a record and writing it. */
static void test_what_was_only_claimed_is_written_by_the_next(void) {
    start_anew();
    learn_path("/a", KW_POLICY_READ);
    struct kw_learnt *record = (struct kw_learnt *)only_record();
    u64 hash = record->hash;
    memset(record, 0, sizeof *record);
    record->hash = hash;
    learn_path("/a", KW_POLICY_READ);
    CHECK_EQUAL(1, record->ready);
    CHECK(memcmp(record->text, "/a", 2) == 0);
    CHECK_EQUAL(1, learn_memory->used);
}

static void test_overflow_is_counted(void) {
    start_anew();
    for (u32 i = 0; i < KW_LEARN_USED_MAX + 10; i++)
        note_path(i);
    CHECK_EQUAL(KW_LEARN_USED_MAX, learn_memory->used);
    CHECK_EQUAL(10, learn_memory->lost);
    note_path(0); /* known already */
    CHECK_EQUAL(10, learn_memory->lost);
}

/* Other monitors may write what they like: here there is an end, and nothing outside is touched. */
static void test_hostile_memory(void) {
    start_anew();
    memset(learn_memory, 0xff, sizeof *learn_memory);
    learn_path("/a", KW_POLICY_READ);
    CHECK_EQUAL(0, learn_memory->lost); /* counted: all ones and one */
    start_anew();
    learn_memory->used = ~0ul;
    learn_path("/a", KW_POLICY_READ);
    CHECK_EQUAL(1, learn_memory->lost);
    CHECK_EQUAL(0, count_ready());
}

int main(void) {
    test_without_memory();
    test_each_once();
    test_arguments_as_the_kernel_sees_them();
    test_long_paths_are_cut();
    test_refusals();
    test_threads_note_the_same();
    test_what_was_only_claimed_is_written_by_the_next();
    test_overflow_is_counted();
    test_hostile_memory();
    free(learn_memory);
    return check_done();
}
