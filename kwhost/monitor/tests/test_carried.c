/* link: jail/carried.c base/text.c tests/policies.c */
#include <linux/errno.h>

#include "check.h"
#include "jail/carried.h"
#include "policies.h"

#define R KW_POLICY_READ
#define W KW_POLICY_WRITE
#define X KW_POLICY_EXECUTE
#define REFUSED FAILS(EACCES, 1)

static struct kw_policy policy;

/* One layer that grants nothing. */
static void start(void) {
    policy_make(&policy, 1);
    policy.layers[0].other_access = 0;
    policy.layers[0].other_path = FAILS(EPERM, 2);
}

static void add(const char *pattern, u32 access) {
    policy_add_path(&policy, 0, pattern, access, REFUSED);
}

static void test_directories_of_which_the_inner_ones_grant_more(void) {
    start();
    CHECK(carried_fits(&policy));
    add("/**", R | X);
    add("/srv/**", R | W | X);
    add("/srv/bin/**", R | W); /* executing is another's */
    add("/dev/null", R | W);
    add("/etc/hosts", R);
    CHECK(carried_fits(&policy));
}

static void test_no_exceptions(void) {
    start();
    add("/**", R | X);
    add("/etc/shadow", 0);
    CHECK(!carried_fits(&policy));
    start();
    add("/srv/**", R | W);
    add("/srv/in/**", W);
    CHECK(!carried_fits(&policy));
    start();
    policy.layers[0].other_access = R | W | X;
    add("/srv/**", R);
    CHECK(!carried_fits(&policy));
}

static void test_no_wildcards(void) {
    start();
    add("/srv/*.txt", R);
    CHECK(!carried_fits(&policy));
}

/* A directory with the name of an asterisk, which is written with a backslash. */
static void test_a_wildcard_has_the_text_of_a_name(void) {
    for (u32 first = 0; first < 2; first++) {
        start();
        add(first ? "/srv/x/**" : "/srv/*", first ? R | W : 0);
        add(first ? "/srv/*" : "/srv/x/**", first ? 0 : R | W);
        u32 subtree = policy.paths[0].kind != KW_POLICY_SUBTREE;
        policy.texts[policy.paths[subtree].text + 5] = '*';
        if (subtree != first) { /* the other order */
            struct kw_policy_path moved = policy.paths[0];
            policy.paths[0] = policy.paths[1];
            policy.paths[1] = moved;
        }
        CHECK(!carried_fits(&policy));
    }
}

static void test_no_name_that_may_come_to_stand_for_something_else(void) {
    start();
    add("/srv/**", W);
    add("/srv/in/**", R | W);
    CHECK(!carried_fits(&policy));
    start();
    add("/proc/cpuinfo", R);
    CHECK(!carried_fits(&policy));
    start();
    add("/proc/**", R);
    CHECK(carried_fits(&policy));
}

static void test_a_name_has_one_rule(void) {
    start();
    add("/srv", R);
    add("/srv/**", R | W);
    CHECK(!carried_fits(&policy));
    start();
    add("/srv/**", R | W);
    add("/srv", R); /* decides nothing */
    add("/srv/**", 0);
    CHECK(carried_fits(&policy));
}

static void test_what_is_executed_is_read(void) {
    start();
    add("/srv/**", X);
    CHECK(!carried_fits(&policy));
}

static void test_refusals_are_errors(void) {
    start();
    policy_add_path(&policy, 0, "/srv/**", R, KILLS(1));
    CHECK(!carried_fits(&policy));
    start();
    policy.layers[0].other_path = LOGGED(1);
    add("/srv/**", R);
    CHECK(!carried_fits(&policy));
}

static void test_each_layer_fits(void) {
    start();
    policy.layer_count = 2;
    policy.layers[1] = policy.layers[0];
    policy.layers[1].path_first = 0;
    add("/**", R);
    CHECK(carried_fits(&policy));
    policy.layers[1].other_path = KILLS(1);
    CHECK(!carried_fits(&policy));
}

int main(void) {
    test_directories_of_which_the_inner_ones_grant_more();
    test_no_exceptions();
    test_no_wildcards();
    test_a_wildcard_has_the_text_of_a_name();
    test_no_name_that_may_come_to_stand_for_something_else();
    test_a_name_has_one_rule();
    test_what_is_executed_is_read();
    test_refusals_are_errors();
    test_each_layer_fits();
    return check_done();
}
