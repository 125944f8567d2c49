/* link: jail/log.c jail/log_file.c jail/clock.c base/text.c */
/* The log of an instance: lines as records, bounded files, losses that are counted. */
#include "jail/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

static struct log log_under_test;
static char directory_path[32];

static int new_directory(void) {
    strcpy(directory_path, "/tmp/kw-log-XXXXXX");
    CHECK(mkdtemp(directory_path) != NULL);
    return open(directory_path, O_RDONLY | O_DIRECTORY);
}

static struct log *new_log(int directory, u64 size, u32 files) {
    memset(&log_under_test, 0, sizeof log_under_test);
    log_file_open(&log_under_test.file, directory, size, files);
    return &log_under_test;
}

/* What the file holds, without the times: each is as long. */
static const char *content(int directory, const char *name) {
    static char text[1 << 20], plain[1 << 20];
    int fd = openat(directory, name, O_RDONLY);
    long size = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    close(fd);
    if (size < 0)
        return NULL;
    text[size] = 0;
    plain[0] = 0;
    char *to = plain;
    for (char *line = text; *line; line = strchr(line, '\n') + 1) {
        long length = strchr(line, '\n') + 1 - (line + CLOCK_TEXT_SIZE);
        memcpy(to, line + CLOCK_TEXT_SIZE, (size_t)length);
        *(to += length) = 0;
    }
    return plain;
}

static void put(struct log *log, enum log_stream stream, const char *text) {
    log_write(log, stream, (const u8 *)text, (u32)strlen(text));
}

static void remove_all(int directory) {
    char name[16];
    unlinkat(directory, "log", 0);
    for (int i = 1; i < 10; i++) {
        snprintf(name, sizeof name, "log.%d", i);
        unlinkat(directory, name, 0);
    }
    rmdir(directory_path);
    close(directory);
    close(log_under_test.file.fd);
}

static void test_times(void) {
    static const struct {
        u64 seconds;
        const char *text;
    } samples[] = {{0, "1970-01-01T00:00:00.000000007Z"},
                   {951782399, "2000-02-28T23:59:59.000000007Z"},
                   {951782400, "2000-02-29T00:00:00.000000007Z"},
                   {951868800, "2000-03-01T00:00:00.000000007Z"},
                   {1735689599, "2024-12-31T23:59:59.000000007Z"},
                   {1795308257, "2026-11-22T00:44:17.000000007Z"},
                   {4107542400, "2100-03-01T00:00:00.000000007Z"}};
    char text[CLOCK_TEXT_SIZE];
    for (u32 i = 0; i < array_size(samples); i++) {
        clock_text(samples[i].seconds * SECOND_NS + 7, text);
        CHECK_TEXT(samples[i].text, text);
    }
}

static void test_lines_and_parts(void) {
    int directory = new_directory();
    struct log *log = new_log(directory, 1 << 20, 2);
    put(log, LOG_STDOUT, "one\ntw");
    CHECK(log_deadline(log) > 0);
    put(log, LOG_STDERR, "\n");
    put(log, LOG_STDOUT, "o\nrest");
    CHECK_TEXT("stdout F one\nstderr F \nstdout F two\n", content(directory, "log"));
    log_flush(log, 1); /* it has not waited long enough */
    CHECK(log_deadline(log) > 0);
    log_flush(log, ~0ul);
    CHECK_EQUAL(0, log_deadline(log));
    put(log, LOG_STDOUT, "\n");
    CHECK_TEXT("stdout F one\nstderr F \nstdout F two\nstdout P rest\nstdout F \n",
               content(directory, "log"));
    remove_all(directory);
}

static void test_a_line_of_exactly_one_record(void) {
    static char line[KW_LOG_TEXT_MAX + 2];
    int directory = new_directory();
    struct log *log = new_log(directory, 1 << 20, 2);
    memset(line, 'x', KW_LOG_TEXT_MAX);
    line[KW_LOG_TEXT_MAX] = '\n';
    put(log, LOG_STDOUT, line);
    CHECK_EQUAL(9 + KW_LOG_TEXT_MAX + 1, strlen(content(directory, "log")));
    CHECK_EQUAL('F', content(directory, "log")[7]);
    line[KW_LOG_TEXT_MAX] = 'x';
    put(log, LOG_STDOUT, line);
    put(log, LOG_STDOUT, "\n");
    const char *both = content(directory, "log") + 9 + KW_LOG_TEXT_MAX + 1;
    CHECK_EQUAL('P', both[7]);
    CHECK_TEXT("stdout F x\n", both + 9 + KW_LOG_TEXT_MAX + 1);
    remove_all(directory);
}

static void test_files_stay_small_and_few(void) {
    struct stat stat;
    char line[1001];
    int directory = new_directory();
    struct log *log = new_log(directory, KW_LOG_SIZE_LEAST, 3);
    memset(line, 'y', sizeof line);
    line[sizeof line - 2] = '\n';
    line[sizeof line - 1] = 0;
    for (int i = 0; i < 300; i++)
        put(log, LOG_STDOUT, line);
    static const char *const names[] = {"log", "log.1", "log.2"};
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(0, fstatat(directory, names[i], &stat, 0));
        CHECK(stat.st_size > 0 && stat.st_size <= KW_LOG_SIZE_LEAST);
    }
    CHECK_EQUAL(-1, fstatat(directory, "log.3", &stat, 0));
    CHECK_EQUAL(0, log->file.lost_ever);
    remove_all(directory);
}

static void test_a_single_file_begins_anew(void) {
    struct stat stat;
    int directory = new_directory();
    struct log *log = new_log(directory, KW_LOG_SIZE_LEAST, 1);
    for (int i = 0; i < 5000; i++)
        put(log, LOG_STDOUT, "0123456789\n");
    CHECK_EQUAL(0, fstatat(directory, "log", &stat, 0));
    CHECK(stat.st_size <= KW_LOG_SIZE_LEAST);
    CHECK_EQUAL(-1, fstatat(directory, "log.1", &stat, 0));
    CHECK_EQUAL(0, log->file.lost_ever);
    remove_all(directory);
}

/* A directory in the file's place stands for everything that cannot be opened or written. */
static void test_losses_are_counted_and_told(void) {
    int directory = new_directory();
    CHECK_EQUAL(0, mkdirat(directory, "log", 0700));
    struct log *log = new_log(directory, 1 << 20, 2);
    put(log, LOG_STDOUT, "lost\n");
    u64 lost = CLOCK_TEXT_SIZE + strlen("stdout F lost\n");
    CHECK_EQUAL(lost, log->file.lost);
    CHECK(log->file.error < 0);
    CHECK_EQUAL(0, log->file.written);
    CHECK_EQUAL(0, unlinkat(directory, "log", AT_REMOVEDIR));
    put(log, LOG_STDOUT, "back\n");
    char expected[100];
    snprintf(expected, sizeof expected,
             "stderr F kwhost: %lu bytes of log were lost\nstdout F back\n", lost);
    CHECK_TEXT(expected, content(directory, "log"));
    CHECK_EQUAL(0, log->file.lost);
    CHECK_EQUAL(lost, log->file.lost_ever);
    remove_all(directory);
}

/* The other records of a file must not be harmed by one that could not be written to its end. */
static void test_a_cut_off_write_leaves_whole_lines(void) {
    int directory = new_directory();
    struct log *log = new_log(directory, 1 << 20, 2);
    put(log, LOG_STDOUT, "whole\n");
    int full = open("/dev/full", O_WRONLY), real = dup(log->file.fd);
    CHECK(dup2(full, log->file.fd) >= 0);
    put(log, LOG_STDOUT, "lost\n");
    CHECK_EQUAL(-ENOSPC, log->file.error);
    CHECK(dup2(real, log->file.fd) >= 0);
    put(log, LOG_STDOUT, "after\n");
    CHECK(strstr(content(directory, "log"), "stdout F whole\nstderr F kwhost: ") != NULL);
    CHECK(strstr(content(directory, "log"), "lost\nstdout F after\n") != NULL);
    close(full);
    close(real);
    remove_all(directory);
}

static void test_no_directory_is_no_log(void) {
    struct log *log = new_log(-1, 0, 0);
    put(log, LOG_STDOUT, "nobody\nwants this");
    log_flush(log, ~0ul);
    CHECK_EQUAL(0, log->file.lost_ever);
    CHECK_EQUAL(0, log_deadline(log));
}

int main(void) {
    test_times();
    test_lines_and_parts();
    test_a_line_of_exactly_one_record();
    test_files_stay_small_and_few();
    test_a_single_file_begins_anew();
    test_losses_are_counted_and_told();
    test_a_cut_off_write_leaves_whole_lines();
    test_no_directory_is_no_log();
    return check_done();
}
