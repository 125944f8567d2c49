/* link: tests/fake_space.c process/exec_strings.c */
#include "process/exec_strings.h"

#include <linux/errno.h>
#include <linux/mman.h>
#include <stdlib.h>

#include "check.h"
#include "fake_space.h"
#include "mm/space.h"

#define TEXT 0x10000000ul  /* guest memory for strings */
#define LISTS 0x20000000ul /* and for lists */
#define SIZE (8ul << 20)

static char *pointers[1 << 20];
static char text[SIZE];

static struct exec_strings room(u64 left) {
    return (struct exec_strings){.pointers = pointers, .text = text, .left = left};
}

static u64 *list(void) {
    return fake_ptr(LISTS);
}

static void set_up(void) {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE;
    fake_space_clear();
    space_map(TEXT, SIZE, 3, flags, -1, 0, MAPPING_ANONYMOUS);
    space_map(LISTS, SIZE, 3, flags, -1, 0, MAPPING_ANONYMOUS);
}

static void test_limits(void) {
    CHECK_EQUAL(2 << 20, exec_strings_limit(8 << 20));
    CHECK_EQUAL(6 << 20, exec_strings_limit(~0ul));
    CHECK_EQUAL(128 << 10, exec_strings_limit(0));
    CHECK_EQUAL(128 << 10, exec_strings_limit(64 << 10));
}

static void test_a_list_is_copied(void) {
    struct exec_strings strings = room(100);
    char **copy;
    strcpy(fake_ptr(TEXT), "one");
    strcpy(fake_ptr(TEXT + 10), "");
    list()[0] = TEXT;
    list()[1] = TEXT + 10;
    list()[2] = TEXT;
    list()[3] = 0;
    CHECK_EQUAL(0, exec_strings_copy(&strings, LISTS, &copy));
    CHECK_TEXT("one", copy[0]);
    CHECK_TEXT("", copy[1]);
    CHECK_TEXT("one", copy[2]);
    CHECK(copy[3] == NULL && strings.pointers == copy + 4);
    CHECK_EQUAL(100 - 3 * 8 - 9, strings.left);
    CHECK_EQUAL(0, exec_strings_copy(&strings, 0, &copy));
    CHECK(copy[0] == NULL && strings.pointers == copy + 1);
}

static void test_bad_addresses(void) {
    static const u64 bad[] = {8, TEXT - 1, LISTS + SIZE, 1ul << 46, ~0ul, ~0ul - 7, 1ul << 63};
    struct exec_strings strings = room(1000);
    char **copy;
    for (u32 i = 0; i < array_size(bad); i++) {
        CHECK_EQUAL(-EFAULT, exec_strings_copy(&strings, bad[i], &copy));
        list()[0] = bad[i];
        list()[1] = 0;
        CHECK_EQUAL(-EFAULT, exec_strings_copy(&strings, LISTS, &copy));
    }
    /* A list and a string that run out of mapped memory. */
    list()[SIZE / 8 - 1] = TEXT;
    CHECK_EQUAL(-EFAULT, exec_strings_copy(&strings, LISTS + SIZE - 8, &copy));
    memset(fake_ptr(TEXT + SIZE - 20), 'x', 20);
    list()[0] = TEXT + SIZE - 20;
    CHECK_EQUAL(-EFAULT, exec_strings_copy(&strings, LISTS, &copy));
}

static void test_what_is_too_much(void) {
    char **copy;
    memset(fake_ptr(TEXT), 'x', SIZE);
    list()[0] = TEXT;
    list()[1] = 0;
    struct exec_strings strings = room(6 << 20);
    CHECK_EQUAL(-E2BIG, exec_strings_copy(&strings, LISTS, &copy)); /* no end within 128 KiB */
    *(char *)fake_ptr(TEXT + 131071) = 0;
    CHECK_EQUAL(0, exec_strings_copy(&strings, LISTS, &copy));
    CHECK_EQUAL(131071, strlen(copy[0]));
    strings = room(8 + 131072);
    CHECK_EQUAL(0, exec_strings_copy(&strings, LISTS, &copy));
    CHECK_EQUAL(0, strings.left);
    strings = room(8 + 131071);
    CHECK_EQUAL(-E2BIG, exec_strings_copy(&strings, LISTS, &copy));
    strings = room(8);
    CHECK_EQUAL(-E2BIG, exec_strings_copy(&strings, LISTS, &copy));
    strings = room(7);
    CHECK_EQUAL(-E2BIG, exec_strings_copy(&strings, LISTS, &copy));
    for (u64 i = 0; i < SIZE / 8; i++) /* an endless list of empty strings */
        list()[i] = TEXT + 131071;
    strings = room(1 << 20);
    CHECK_EQUAL(-E2BIG, exec_strings_copy(&strings, LISTS, &copy));
    CHECK(strings.pointers <= pointers + (1 << 20) / 9 + 1);
}

int main(void) {
    set_up();
    test_limits();
    test_a_list_is_copied();
    test_bad_addresses();
    test_what_is_too_much();
    return check_done();
}
