/* link: broker/status.c base/text.c */
/* What the broker reads of a caller in /proc/TID/status. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "broker/status.h"
#include "check.h"

int broker_procfs;

static const char text[] = "Name:\tTgid:\t7\n"
                           "Tgid:\t4711\n"
                           "NStgid:\t4711\t12\n"
                           "NSpid:\t4712\t13\t5\n"
                           "Threads:\t2\n"
                           "SigPnd:\t0000000000000001\n"
                           "ShdPnd:\t8000000000000206\n"
                           "SigBlk:\t0000000000000004\n";

static void test_fields(void) {
    CHECK_EQUAL(4711, status_number(text, "Tgid"));
    CHECK_EQUAL(0, status_number(text, "Uid"));
    CHECK_EQUAL(1, status_mask(text, "SigPnd"));
    CHECK(status_mask(text, "ShdPnd") == 0x8000000000000206ul);
    CHECK_TEXT("", status_field(text, "Sig"));
}

static void test_ids_as_in_the_instance(void) {
    CHECK_EQUAL(12, status_inner_id(text, "NStgid"));
    CHECK_EQUAL(13, status_inner_id(text, "NSpid"));
    CHECK_EQUAL(4711, status_inner_id("NSpid:\t4711\n", "NSpid"));
}

static void test_signals(void) {
    struct status_signals signals = status_signals(text);
    CHECK(signals.shared == 0x8000000000000202ul);
    CHECK_EQUAL(1, signals.own);
    signals = status_signals("Threads:\t1\nSigPnd:\t0\nShdPnd:\t2\nSigBlk:\t0\n");
    CHECK_EQUAL(2, signals.own);
}

static bool waits;

bool broker_is_waited_for(const struct broker_request *request) {
    (void)request;
    return waits;
}

static void test_a_real_one(void) {
    struct broker_request request = {.tid = (u32)getpid()};
    broker_procfs = open("/proc", O_PATH);
    waits = true;
    const char *status = status_read(&request);
    CHECK(status && status_number(status, "Tgid") == (u64)getpid());
    request.tid = 0x7fffffff;
    CHECK(!status_read(&request));
}

static void test_an_id_of_another_by_now_tells_nothing(void) {
    struct broker_request request = {.tid = (u32)getpid()};
    waits = false;
    CHECK(!status_read(&request));
}

int main(void) {
    test_fields();
    test_ids_as_in_the_instance();
    test_signals();
    test_a_real_one();
    test_an_id_of_another_by_now_tells_nothing();
    return check_done();
}
