/* link: jail/program_change.c jail/program_filter.c jail/program_code.c jail/program_rules.c
 * policy/validate.c policy/decide.c base/text.c tests/policies.c tests/random_policies.c */
#include <asm/unistd.h>
#include <linux/errno.h>

#include "check.h"
#include "jail/program_change.h"
#include "policies.h"
#include "program_model.h"
#include "random_policies.h"

static struct kw_policy started, later;
static const struct program_filter filter = {.policy = &started, .files = true, .channel = -1};
static const struct program_filter by_landlock = {.policy = &started, .channel = -1};
static u32 call;

static enum program_change change(void) {
    call = ~0u;
    return program_change(&filter, &later, &call);
}

static void make(u32 layers) {
    policy_make(&started, layers);
    policy_make(&later, layers);
}

static void test_what_is_asked_about_may_be_decided_anew(void) {
    make(1);
    started.layers[0].calls[__NR_mkdir].verdict = FAILS(EACCES, 1);
    started.layers[0].calls[__NR_getpid].verdict = LOGGED(1);
    later.layers[0].calls[__NR_mkdir].verdict = KILLS(1);
    later.layers[0].calls[__NR_getpid].verdict = FAILS(EPERM, 1);
    CHECK_EQUAL(PROGRAM_CHANGE_GOOD, change());
    policy_make(&later, 0);
    CHECK_EQUAL(PROGRAM_CHANGE_GOOD, change());
}

static void test_what_passes_may_not(void) {
    make(1);
    later.layers[0].calls[__NR_mkdir].verdict = LOGGED(1);
    CHECK_EQUAL(PROGRAM_CHANGE_CALL, change());
    CHECK_EQUAL(__NR_mkdir, call);
    make(1);
    later.layers[0].calls[__NR_ptrace].verdict = KILLS(1); /* refused without being asked about */
    CHECK_EQUAL(PROGRAM_CHANGE_CALL, change());
    make(1);
    later.layers[0].unknown = KILLS(1);
    CHECK_EQUAL(PROGRAM_CHANGE_CALL, change());
    CHECK_EQUAL(KW_CALL_LIMIT, call);
    make(1);
    later.layers[0].calls[__NR_exit_group].verdict = KILLS(1); /* always passes */
    CHECK_EQUAL(PROGRAM_CHANGE_GOOD, change());
}

static void test_rates(void) {
    make(1);
    later.rate_count = 1;
    later.rates[0].calls[__NR_fork / 64] = 1ul << __NR_fork % 64;
    CHECK_EQUAL(PROGRAM_CHANGE_CALL, change());
    started.layers[0].calls[__NR_fork].verdict = LOGGED(1);
    CHECK_EQUAL(PROGRAM_CHANGE_GOOD, change());
    make(1);
    started.rate_count = 1;
    started.rates[0].calls[__NR_fork / 64] = 1ul << __NR_fork % 64;
    later.layers[0].calls[__NR_fork].verdict = FAILS(EPERM, 1);
    CHECK_EQUAL(PROGRAM_CHANGE_GOOD, change());
}

static const struct kw_policy_condition tcgets = {1, KW_POLICY_EQUAL, {0}, 0xffffffff, 0x5401},
                                        large = {1, KW_POLICY_LEAST, {0}, 0xffffffff, 0x5000},
                                        tiocsti = {1, KW_POLICY_EQUAL, {0}, 0xffffffff, 0x5412};

static void test_arguments(void) {
    make(1);
    policy_add_arguments(&started, 0, __NR_ioctl, FAILS(EPERM, 1), &large, 1);
    policy_add_arguments(&later, 0, __NR_ioctl, KILLS(1), &tiocsti, 1);
    CHECK_EQUAL(PROGRAM_CHANGE_GOOD, change());
    policy_make(&started, 1);
    policy_add_arguments(&started, 0, __NR_ioctl, FAILS(EPERM, 1), &tiocsti, 1);
    policy_make(&later, 1);
    policy_add_arguments(&later, 0, __NR_ioctl, FAILS(EPERM, 1), &large, 1);
    CHECK_EQUAL(PROGRAM_CHANGE_CALL, change());
}

static void test_lists_of_what_is_allowed(void) {
    make(1);
    started.layers[0].calls[__NR_ioctl].verdict = FAILS(EPERM, 1);
    later.layers[0].calls[__NR_ioctl].verdict = FAILS(EACCES, 1);
    policy_add_arguments(&started, 0, __NR_ioctl, ALLOWED, &tcgets, 1);
    CHECK_EQUAL(PROGRAM_CHANGE_CALL, change()); /* it is not allowed any more */
    policy_add_arguments(&later, 0, __NR_ioctl, ALLOWED, &tiocsti, 1);
    CHECK_EQUAL(PROGRAM_CHANGE_CALL, change());
    policy_add_arguments(&later, 0, __NR_ioctl, ALLOWED, &tcgets, 1);
    CHECK_EQUAL(PROGRAM_CHANGE_GOOD, change());
}

static void test_files(void) {
    make(1);
    policy_add_path(&later, 0, "/srv/x", KW_POLICY_READ, FAILS(EACCES, 1));
    CHECK_EQUAL(PROGRAM_CHANGE_FILES, change());
    policy_add_path(&started, 0, "/srv/y", KW_POLICY_READ, FAILS(EACCES, 1));
    CHECK_EQUAL(PROGRAM_CHANGE_GOOD, change());
    CHECK_EQUAL(PROGRAM_CHANGE_FILES, program_change(&by_landlock, &later, &call));
    later = started;
    CHECK_EQUAL(PROGRAM_CHANGE_GOOD, program_change(&by_landlock, &later, &call));
    later.layer_count = 2;
    later.layers[1] = (struct kw_policy_layer){.other_access = POLICY_ALL};
    CHECK_EQUAL(PROGRAM_CHANGE_GOOD, program_change(&by_landlock, &later, &call));
    later.layers[1].other_access = KW_POLICY_READ;
    CHECK_EQUAL(PROGRAM_CHANGE_FILES, program_change(&by_landlock, &later, &call));
    policy_make(&later, 1);
    CHECK_EQUAL(PROGRAM_CHANGE_FILES, program_change(&by_landlock, &later, &call));
}

static void test_addresses(void) {
    make(1);
    later.layers[0].other_listen = FAILS(EACCES, 1);
    CHECK_EQUAL(PROGRAM_CHANGE_NETWORK, change());
    started.layers[0].other_address = FAILS(EACCES, 1);
    CHECK_EQUAL(PROGRAM_CHANGE_GOOD, change());
}

static void test_without_a_policy_nothing_may_change(void) {
    const struct program_filter none = {.files = true, .channel = -1};
    make(1);
    CHECK_EQUAL(PROGRAM_CHANGE_GOOD, program_change(&none, &later, &call));
    later.layers[0].calls[__NR_mkdir].verdict = LOGGED(1);
    CHECK_EQUAL(PROGRAM_CHANGE_CALL, program_change(&none, &later, &call));
}

/* What a filter decides by itself is decided likewise by any policy that is good. */
static void check_calls(const struct sock_filter *code) {
    const struct program_filter now = {.policy = &later, .files = true, .channel = -1};
    for (u32 question = 0; question < 200; question++) {
        u32 nr = random_calls[random_below(RANDOM_CALLS)];
        const u64 arg[6] = {random_value(), random_value(), random_value()};
        if (bpf_verdict(code, nr, arg) != SECCOMP_RET_USER_NOTIF && !model_is_plain(&now, nr, arg))
            CHECK_EQUAL(0, nr);
    }
}

static void test_good_changes_hold(void) {
    static struct sock_filter code[PROGRAM_FILTER_MAX];
    u32 good = 0;
    for (u32 round = 0; round < 600; round++) {
        make_random_policy(&started);
        later = started;
        CHECK_EQUAL(PROGRAM_CHANGE_GOOD, change());
        for (u64 changes = random_below(3); changes; changes--)
            change_random_policy(&later);
        if (change() != PROGRAM_CHANGE_GOOD)
            continue;
        good++;
        program_filter_make(&filter, code);
        check_calls(code);
    }
    CHECK(good > 200);
}

int main(void) {
    test_what_is_asked_about_may_be_decided_anew();
    test_what_passes_may_not();
    test_rates();
    test_arguments();
    test_lists_of_what_is_allowed();
    test_files();
    test_addresses();
    test_without_a_policy_nothing_may_change();
    test_good_changes_hold();
    return check_done();
}
