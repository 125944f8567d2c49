/* link: process/script.c */
#include "process/script.h"

#include <linux/errno.h>

#include "check.h"

static struct script_line parsed;

static int parse(const char *text) {
    return script_parse(&parsed, text, strlen(text));
}

static void expect(const char *text, const char *interpreter, const char *argument) {
    CHECK_EQUAL(0, parse(text));
    CHECK_TEXT(interpreter, parsed.interpreter);
    CHECK_TEXT(argument, parsed.argument);
}

static void test_lines(void) {
    expect("#!/bin/sh\n", "/bin/sh", NULL);
    expect("#!/bin/sh", "/bin/sh", NULL);
    expect("#! \t/bin/sh  \t\nrest", "/bin/sh", NULL);
    expect("#!/bin/sh -e\nrest -x\n", "/bin/sh", "-e");
    expect("#!/usr/bin/env  -S  python3 -u  \n", "/usr/bin/env", "-S  python3 -u");
    expect("#!/usr/bin/env python3", "/usr/bin/env", "python3");
    expect("#!/bin/sh\r\n", "/bin/sh\r", NULL); /* the well-known trap, as on Linux */
    expect("#!relative\targ\n", "relative", "arg");
    expect("#!/bin/sh ", "/bin/sh", ""); /* the buffer's zeros end the line */
}

static void test_no_interpreter(void) {
    CHECK_EQUAL(-ENOEXEC, parse("#!\n"));
    CHECK_EQUAL(-ENOEXEC, parse("#!   \t \n"));
    CHECK_EQUAL(-ENOEXEC, parse("#! \n/bin/sh\n"));
}

static void test_nul_bytes(void) {
    CHECK_EQUAL(0, script_parse(&parsed, "#!/bin/s\0h -x\n", 14));
    CHECK_TEXT("/bin/s", parsed.interpreter);
    CHECK_TEXT(NULL, parsed.argument);
}

static void test_long_lines(void) {
    char text[400];
    memset(text, 'a', sizeof(text));
    memcpy(text, "#!/", 3);
    CHECK_EQUAL(-ENOEXEC, script_parse(&parsed, text, sizeof(text))); /* the name may be cut */
    text[SCRIPT_HEAD - 1] = '\n';
    CHECK_EQUAL(0, script_parse(&parsed, text, sizeof(text)));
    CHECK_EQUAL(SCRIPT_HEAD - 3, strlen(parsed.interpreter));
    text[SCRIPT_HEAD - 1] = 'a';
    text[100] = ' ';
    CHECK_EQUAL(0, script_parse(&parsed, text, sizeof(text))); /* only the argument is cut */
    CHECK_EQUAL(98, strlen(parsed.interpreter));
    CHECK_EQUAL(SCRIPT_HEAD - 1 - 101, strlen(parsed.argument));
    memset(text + 2, ' ', sizeof(text) - 2);
    CHECK_EQUAL(-ENOEXEC, script_parse(&parsed, text, sizeof(text)));
}

static void test_arguments(void) {
    char old[] = "old", one[] = "one", path[] = "./script";
    char *slots[] = {NULL, NULL, old, one, NULL};
    parse("#!/bin/sh -e\n");
    char **argv = script_arguments(slots + 2, &parsed, path);
    CHECK(argv == slots);
    CHECK_TEXT("/bin/sh", argv[0]);
    CHECK_TEXT("-e", argv[1]);
    CHECK_TEXT("./script", argv[2]);
    CHECK_TEXT("one", argv[3]);
    CHECK(argv[4] == NULL);
    slots[2] = old;
    parse("#!/bin/sh\n");
    argv = script_arguments(slots + 2, &parsed, path);
    CHECK(argv == slots + 1);
    CHECK_TEXT("/bin/sh", argv[0]);
    CHECK_TEXT("./script", argv[1]);
}

static void test_every_short_line(void) {
    /* All lines of seven bytes over the interesting bytes: nothing is read or written outside. */
    static const char bytes[] = {'\0', '\n', ' ', 'x', '\t'};
    for (int code = 0; code < 78125; code++) {
        char text[9] = "#!";
        for (int i = 0, rest = code; i < 7; i++, rest /= 5)
            text[2 + i] = bytes[rest % 5];
        int result = script_parse(&parsed, text, sizeof(text));
        if (result == 0 && !(parsed.interpreter >= parsed.text + 2 &&
                             parsed.interpreter < parsed.text + SCRIPT_HEAD))
            CHECK(!"interpreter lies outside its line");
    }
    CHECK(is_script("#!", 2) && !is_script("#", 1) && !is_script("# !", 3));
}

int main(void) {
    test_lines();
    test_no_interpreter();
    test_nul_bytes();
    test_long_lines();
    test_arguments();
    test_every_short_line();
    return check_done();
}
