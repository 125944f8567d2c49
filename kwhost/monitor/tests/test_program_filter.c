/* link: jail/program_filter.c jail/program_code.c jail/program_rules.c policy/validate.c
 * policy/decide.c base/text.c tests/policies.c tests/random_policies.c */
#include <asm/unistd.h>
#include <linux/errno.h>

#include "check.h"
#include "policies.h"
#include "program_model.h"
#include "random_policies.h"

#define CHANNEL 1000
#define ALLOW SECCOMP_RET_ALLOW
#define NOTIFY SECCOMP_RET_USER_NOTIF
#define ERROR(number) (SECCOMP_RET_ERRNO | (number))

static struct kw_policy policy;
static struct sock_filter code[PROGRAM_FILTER_MAX];
static const struct program_filter plain = {.policy = &policy, .files = true, .channel = CHANNEL};

static void make(const struct program_filter *filter) {
    u32 length = program_filter_make(filter, code);
    CHECK(bpf_is_good(code, length));
}

static u32 verdict(u32 nr, u64 first, u64 second, u64 third) {
    const u64 arg[6] = {first, second, third};
    return bpf_verdict(code, nr, arg);
}

static void test_without_a_policy(void) {
    const struct program_filter filter = {.channel = -1};
    make(&filter);
    CHECK_EQUAL(ALLOW, verdict(__NR_getpid, 0, 0, 0));
    CHECK_EQUAL(ALLOW, verdict(__NR_openat, 0, 0, 0));
    CHECK_EQUAL(ALLOW, verdict(__NR_rseq, 0, 0, 0));
    CHECK_EQUAL(ERROR(EPERM), verdict(__NR_ptrace, 0, 0, 0));
    CHECK_EQUAL(ERROR(ENOSYS), verdict(__NR_io_uring_setup, 0, 0, 0));
    CHECK_EQUAL(ERROR(ENOSYS), verdict(__NR_clone3, 0, 0, 0));
    CHECK_EQUAL(ERROR(ENOSYS), verdict(400, 0, 0, 0));
    CHECK_EQUAL(ERROR(ENOSYS), verdict(511, 0, 0, 0));
    CHECK_EQUAL(ERROR(ENOSYS), verdict(512, 0, 0, 0));
    CHECK_EQUAL(ERROR(ENOSYS), verdict(~0u, 0, 0, 0));
    CHECK_EQUAL(SECCOMP_RET_KILL_PROCESS, verdict(0x40000000, 0, 0, 0));
    CHECK_EQUAL(SECCOMP_RET_KILL_PROCESS, verdict(0x40000000 | 512, 0, 0, 0));
}

static void test_other_architectures(void) {
    struct seccomp_data data = {.nr = __NR_getpid, .arch = AUDIT_ARCH_I386};
    u32 steps = 0;
    policy_make(&policy, 1);
    make(&plain);
    CHECK_EQUAL(SECCOMP_RET_KILL_PROCESS, bpf_run(code, &data, &steps));
}

static void test_arguments_that_are_refused(void) {
    policy_make(&policy, 1);
    make(&plain);
    CHECK_EQUAL(ALLOW, verdict(__NR_socket, 1, 1, 0));
    CHECK_EQUAL(ALLOW, verdict(__NR_socket, 2, 1 | 02000000, 6));
    CHECK_EQUAL(ALLOW, verdict(__NR_socket, 1ul << 32 | 2, 3, 47)); /* raw: the kernel's to say */
    CHECK_EQUAL(ERROR(EAFNOSUPPORT), verdict(__NR_socket, 17, 3, 0));
    CHECK_EQUAL(ERROR(EPROTONOSUPPORT), verdict(__NR_socket, 16, 3, 12));
    CHECK_EQUAL(ERROR(ESOCKTNOSUPPORT), verdict(__NR_socket, 10, 5, 132));
    CHECK_EQUAL(ERROR(EPROTONOSUPPORT), verdict(__NR_socket, 10, 1, 132));
    CHECK_EQUAL(ALLOW, verdict(__NR_ioctl, 0, 0x5401, 0));
    CHECK_EQUAL(ERROR(EPERM), verdict(__NR_ioctl, 0, 1ul << 32 | 0x5412, 0)); /* TIOCSTI */
    CHECK_EQUAL(ERROR(ENOTTY), verdict(__NR_ioctl, 0, 0x4c00, 0));
    CHECK_EQUAL(ALLOW, verdict(__NR_clone, 17, 0, 0));
    CHECK_EQUAL(ERROR(EPERM), verdict(__NR_clone, 0x10000011, 0, 0));
    CHECK_EQUAL(ERROR(EPERM), verdict(__NR_unshare, 0x80, 0, 0));
    CHECK_EQUAL(ALLOW, verdict(__NR_setsockopt, 0, 1, 2));
    CHECK_EQUAL(ERROR(ENOPROTOOPT), verdict(__NR_setsockopt, 0, 0, 64));
    CHECK_EQUAL(ERROR(ENOPROTOOPT), verdict(__NR_setsockopt, 0, 0, 0xffffffff));
    CHECK_EQUAL(ERROR(EINVAL), verdict(__NR_prctl, 22, 2, 0)); /* PR_SET_SECCOMP */
}

static void test_all_but_permission_is_asked(void) {
    policy_make(&policy, 2);
    policy.layers[1].calls[__NR_getpid].verdict = LOGGED(1);
    policy.layers[0].calls[__NR_mount].verdict = FAILS(EACCES, 2);
    policy.layers[0].calls[__NR_exit_group].verdict = KILLS(3);
    policy.layers[1].unknown = KILLS(4);
    policy.rates[0].calls[__NR_dup / 64] = 1ul << __NR_dup % 64;
    policy.rate_count = 1;
    make(&plain);
    CHECK_EQUAL(NOTIFY, verdict(__NR_getpid, 0, 0, 0));
    CHECK_EQUAL(NOTIFY, verdict(__NR_mount, 0, 0, 0));
    CHECK_EQUAL(NOTIFY, verdict(__NR_dup, 0, 0, 0));
    CHECK_EQUAL(NOTIFY, verdict(700, 0, 0, 0));
    CHECK_EQUAL(ALLOW, verdict(__NR_exit_group, 0, 0, 0));
    CHECK_EQUAL(ALLOW, verdict(__NR_getppid, 0, 0, 0));
}

static void test_what_the_broker_makes(void) {
    policy_make(&policy, 1);
    make(&plain);
    CHECK_EQUAL(ALLOW, verdict(__NR_openat, 0, 0, 0));
    CHECK_EQUAL(ALLOW, verdict(__NR_connect, 0, 0, 0));
    policy_add_path(&policy, 0, "/srv/x", KW_POLICY_READ, FAILS(EACCES, 1));
    make(&plain);
    CHECK_EQUAL(NOTIFY, verdict(__NR_openat, 0, 0, 0));
    CHECK_EQUAL(NOTIFY, verdict(__NR_connect, 0, 0, 0));
    CHECK_EQUAL(ALLOW, verdict(__NR_listen, 0, 0, 0));
    policy_make(&policy, 1);
    policy.layers[0].other_listen = FAILS(EACCES, 1);
    make(&plain);
    CHECK_EQUAL(ALLOW, verdict(__NR_openat, 0, 0, 0));
    CHECK_EQUAL(NOTIFY, verdict(__NR_connect, 0, 0, 0));
    CHECK_EQUAL(NOTIFY, verdict(__NR_sendmsg, 3, 0, 0));
    CHECK_EQUAL(ALLOW, verdict(__NR_sendto, 3, 0, 0)); /* without an address */
}

static void test_the_channel(void) {
    policy_make(&policy, 1);
    policy.layers[0].calls[__NR_write].verdict = FAILS(EACCES, 1);
    policy.layers[0].calls[__NR_sendmsg].verdict = FAILS(EACCES, 1);
    make(&plain);
    CHECK_EQUAL(NOTIFY, verdict(__NR_write, CHANNEL + 1, 0, 0));
    CHECK_EQUAL(ALLOW, verdict(__NR_write, CHANNEL, 0, 0));
    CHECK_EQUAL(ALLOW, verdict(__NR_sendmsg, CHANNEL, 0, 0));
}

static void test_learning(void) {
    const struct program_filter filter = {.policy = &policy, .learn = true, .channel = CHANNEL};
    policy_make(&policy, 1);
    make(&filter);
    CHECK_EQUAL(NOTIFY, verdict(__NR_getpid, 0, 0, 0));
    CHECK_EQUAL(ALLOW, verdict(__NR_sendmsg, CHANNEL, 0, 0));
    CHECK_EQUAL(ALLOW, verdict(__NR_rt_sigreturn, 0, 0, 0));
    CHECK_EQUAL(NOTIFY, verdict(__NR_clone3, 0, 0, 0)); /* refused, but not before it is noted */
    CHECK(program_filter_asks_to_begin(&filter));
}

static void test_the_beginning(void) {
    const struct kw_policy_condition some = {0, KW_POLICY_EQUAL, {0}, ~0ul, 7};
    policy_make(&policy, 1);
    CHECK(!program_filter_asks_to_begin(&plain));
    make(&plain);
    CHECK_EQUAL(ALLOW, verdict(__NR_execve, 7, 0, 0));
    policy_add_arguments(&policy, 0, __NR_execve, FAILS(EACCES, 1), &some, 1);
    CHECK(program_filter_asks_to_begin(&plain));
    make(&plain);
    CHECK_EQUAL(NOTIFY, verdict(__NR_execve, 8, 0, 0));
}

static void test_too_many_conditions_are_the_brokers(void) {
    struct kw_policy_condition condition = {0, KW_POLICY_EQUAL, {0}, ~0ul, 0};
    policy_make(&policy, 1);
    for (u32 i = 0; i < 400; i++) {
        condition.value = 2ul * i;
        policy_add_arguments(&policy, 0, __NR_lseek, FAILS(EACCES, 1), &condition, 1);
    }
    condition.value = 2;
    policy_add_arguments(&policy, 0, __NR_fcntl, FAILS(EACCES, 1), &condition, 1);
    make(&plain);
    CHECK_EQUAL(NOTIFY, verdict(__NR_lseek, 1, 0, 0));
    CHECK_EQUAL(ALLOW, verdict(__NR_fcntl, 1, 0, 0));
    CHECK_EQUAL(NOTIFY, verdict(__NR_fcntl, 2, 0, 0));
}

static void test_it_decides_as_the_policy_does(void) {
    for (u32 round = 0; round < 300; round++) {
        make_random_policy(&policy);
        make(&plain);
        for (u32 question = 0; question < 200; question++) {
            u32 nr = random_calls[random_below(RANDOM_CALLS)];
            const u64 arg[6] = {random_value(), random_value(), random_value()};
            if (bpf_verdict(code, nr, arg) != model_verdict(&plain, nr, arg))
                CHECK_EQUAL(model_verdict(&plain, nr, arg), bpf_verdict(code, nr, arg));
        }
    }
}

/* Whatever is at odds with its neighbours has a range of its own in the search. */
static void test_the_longest_search(void) {
    policy_make(&policy, 1);
    for (u32 nr = 0; nr < KW_CALL_LIMIT; nr += 2)
        policy.layers[0].calls[nr].verdict = FAILS(EACCES, 1);
    make(&plain);
    for (u32 nr = 0; nr < KW_CALL_LIMIT; nr++) {
        const u64 arg[6] = {0};
        CHECK_EQUAL(model_verdict(&plain, nr, arg), bpf_verdict(code, nr, arg));
    }
}

int main(void) {
    test_without_a_policy();
    test_other_architectures();
    test_arguments_that_are_refused();
    test_all_but_permission_is_asked();
    test_what_the_broker_makes();
    test_the_channel();
    test_learning();
    test_the_beginning();
    test_too_many_conditions_are_the_brokers();
    test_it_decides_as_the_policy_does();
    test_the_longest_search();
    return check_done();
}
