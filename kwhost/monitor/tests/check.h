/* A minimal test frame for hosted C tests: TAP on standard output, exit status 1 when a check
 * failed. */
#ifndef KW_TESTS_CHECK_H
#define KW_TESTS_CHECK_H

#include <stdio.h>
#include <string.h>

static int check_count, check_failures;

#define CHECK(condition) check_that((condition), #condition, __FILE__, __LINE__)
#define CHECK_EQUAL(expected, actual)                                                              \
    check_equal((long)(expected), (long)(actual), #actual, __FILE__, __LINE__)
#define CHECK_TEXT(expected, actual) check_text((expected), (actual), #actual, __FILE__, __LINE__)

static inline void check_that(int good, const char *what, const char *file, int line) {
    check_count++;
    if (!good)
        check_failures++;
    if (!good)
        printf("not ok %d - %s:%d: %s\n", check_count, file, line, what);
}

static inline void check_equal(long expected, long actual, const char *what, const char *file,
                               int line) {
    check_that(expected == actual, what, file, line);
    if (expected != actual)
        printf("# expected %ld (0x%lx), got %ld (0x%lx)\n", expected, expected, actual, actual);
}

static inline void check_text(const char *expected, const char *actual, const char *what,
                              const char *file, int line) {
    int same = expected && actual ? strcmp(expected, actual) == 0 : expected == actual;
    check_that(same, what, file, line);
    if (!same)
        printf("# expected \"%s\", got \"%s\"\n", expected ? expected : "(null)",
               actual ? actual : "(null)");
}

static inline int check_done(void) {
    printf("1..%d\n# %d checks, %d failed\n", check_count, check_count, check_failures);
    return check_failures != 0;
}

#endif
