/* link: policy/validate.c policy/decide.c policy/paths.c policy/glob.c policy/network.c
 * policy/rate.c base/text.c tests/policies.c */
#include "check.h"
#include "policies.h"
#include "policy/glob.h"

enum { EPERM_ = 1, EAGAIN_ = 11, EACCES_ = 13, IOCTL = 16, TCGETS = 0x5401, TIOCSTI = 0x5412 };
#define R KW_POLICY_READ
#define W KW_POLICY_WRITE
#define X KW_POLICY_EXECUTE
#define SECOND 1000000000ul

static struct kw_policy policy;

static u32 call_action(u64 nr, u64 first, u64 second) {
    const u64 arg[6] = {first, second};
    return policy_call(&policy, nr, arg).action;
}

static void test_calls(void) {
    struct kw_policy_condition tcgets = {1, KW_POLICY_EQUAL, {0}, 0xffffffff, TCGETS};
    struct kw_policy_condition range[2] = {{0, KW_POLICY_LEAST, {0}, ~0ul, 10},
                                           {0, KW_POLICY_MOST, {0}, ~0ul, 20}};
    policy_make(&policy, 1);
    CHECK_TEXT(NULL, policy_check(&policy));
    CHECK_EQUAL(KW_POLICY_ALLOW, call_action(IOCTL, 0, TIOCSTI));
    policy.layers[0].calls[IOCTL].verdict = FAILS(EPERM_, 1);
    policy_add_arguments(&policy, 0, IOCTL, ALLOWED, &tcgets, 1);
    policy_add_arguments(&policy, 0, 3, KILLS(2), range, 2);
    CHECK_TEXT(NULL, policy_check(&policy));
    CHECK_EQUAL(KW_POLICY_ALLOW, call_action(IOCTL, 0, TCGETS));
    CHECK_EQUAL(KW_POLICY_ALLOW, call_action(IOCTL, 0, 1ul << 32 | TCGETS)); /* as the kernel */
    CHECK_EQUAL(KW_POLICY_ERRNO, call_action(IOCTL, 0, TIOCSTI));
    CHECK_EQUAL(KW_POLICY_ALLOW, call_action(3, 9, 0));
    CHECK_EQUAL(KW_POLICY_KILL, call_action(3, 10, 0));
    CHECK_EQUAL(KW_POLICY_KILL, call_action(3, 20, 0));
    CHECK_EQUAL(KW_POLICY_ALLOW, call_action(3, 21, 0));
    policy.layers[0].unknown = KILLS(3);
    CHECK_EQUAL(KW_POLICY_KILL, call_action(KW_CALL_LIMIT, 0, 0));
    CHECK_EQUAL(KW_POLICY_KILL, call_action(~0ul, 0, 0));
}

static void test_layers(void) {
    const u64 arg[6] = {0};
    policy_make(&policy, 3);
    policy.layers[0].calls[5].verdict = LOGGED(1);
    policy.layers[1].calls[5].verdict = FAILS(EACCES_, 2);
    policy.layers[2].calls[5].verdict = FAILS(EPERM_, 3);
    CHECK_EQUAL(2, policy_call(&policy, 5, arg).rule); /* of equal ones the first */
    policy.layers[2].calls[5].verdict = KILLS(4);
    CHECK_EQUAL(4, policy_call(&policy, 5, arg).rule);
}

static void test_looks(void) {
    policy_make(&policy, 2);
    policy_index(&policy);
    CHECK_EQUAL(0, policy.looks);
    CHECK_EQUAL(0, policy.call_looks[5]);
    policy.layers[1].calls[5].verdict = LOGGED(1);
    policy_index(&policy);
    CHECK_EQUAL(KW_POLICY_LOOKS_CALL, policy.call_looks[5]);
}

static u32 access_of(const char *path) { /* what is granted, of r, w and x */
    u32 access = 0;
    for (u32 bit = 1; bit <= X; bit <<= 1)
        if (!verdict_refuses(policy_path(&policy, path, bit)))
            access |= bit;
    return access;
}

static void test_paths(void) {
    policy_make(&policy, 1);
    policy.layers[0].other_access = 0;
    policy.layers[0].other_path = FAILS(EACCES_, 9);
    policy_add_path(&policy, 0, "/srv/**", R | W, FAILS(EACCES_, 1));
    policy_add_path(&policy, 0, "/srv/secret", 0, FAILS(EACCES_, 2));
    policy_add_path(&policy, 0, "/srv/*.txt", R, FAILS(EACCES_, 3));
    policy_add_path(&policy, 0, "/bin/*", R | X, FAILS(EACCES_, 4));
    policy_add_path(&policy, 0, "/", R, FAILS(EACCES_, 5));
    CHECK_TEXT(NULL, policy_check(&policy));
    CHECK_EQUAL(R | W, access_of("/srv"));
    CHECK_EQUAL(R | W, access_of("/srv/a/b/c"));
    CHECK_EQUAL(0, access_of("/srv/secret"));
    CHECK_EQUAL(R | W, access_of("/srv/secret/beneath")); /* an exact rule is about one object */
    CHECK_EQUAL(R | W, access_of("/srv/secrets"));
    CHECK_EQUAL(R | X, access_of("/bin/sh"));
    CHECK_EQUAL(0, access_of("/bin/a/b"));
    CHECK_EQUAL(0, access_of("/bin"));
    CHECK_EQUAL(R, access_of("/"));
    CHECK_EQUAL(0, access_of("/srvx"));
    CHECK_EQUAL(2, policy_path(&policy, "/srv/secret", R).rule);
    CHECK_EQUAL(9, policy_path(&policy, "/other", R).rule);
}

static void test_long_paths(void) {
    static char path[4096];
    policy_make(&policy, 1);
    policy.layers[0].other_access = 0;
    policy.layers[0].other_path = FAILS(EACCES_, 9);
    policy_add_path(&policy, 0, "/a/**", R, FAILS(EACCES_, 1));
    for (u32 i = 0; i + 2 < sizeof path; i += 2)
        memcpy(path + i, "/a", 2);
    CHECK_EQUAL(R, access_of(path));
    path[1] = 'b';
    CHECK_EQUAL(0, access_of(path));
}

static bool glob(const char *pattern, const char *path) {
    return glob_matches(pattern, (u32)strlen(pattern), path);
}

static bool differs(const char *pattern, const char *path) {
    return glob_differs_beneath(pattern, (u32)strlen(pattern), path);
}

static void test_globs(void) {
    CHECK(glob("/*", "/a") && !glob("/*", "/a/b") && !glob("/*", ""));
    CHECK(glob("/a?c", "/abc") && !glob("/a?c", "/a/c") && !glob("/a?c", "/ac"));
    CHECK(glob("/*.txt", "/.txt") && glob("/*.txt", "/a.txt.txt") && !glob("/*.txt", "/a.txtx"));
    CHECK(glob("/**/b", "/b") && glob("/**/b", "/x/y/b") && !glob("/**/b", "/x/yb"));
    CHECK(!glob("/**/b", "/xb") && glob("/*/**", "/a") && glob("/*/**", "/a/b/c"));
    CHECK(glob("/x*/**/y/*", "/x/y/z") && glob("/x*/**/y/*", "/xx/1/2/y/z"));
    CHECK(!glob("/x*/**/y/*", "/xx/1/2/y/z/t"));
    CHECK(glob("/a\\*", "/a*") && !glob("/a\\*", "/ab") && glob("/a\\\\*", "/a\\b"));
    CHECK(glob("/**", "") && glob("/**", "/a/b"));
}

static void test_globs_are_fast(void) {
    static char path[4096], pattern[256];
    memset(path, 'a', sizeof path - 1);
    path[0] = '/';
    pattern[0] = '/';
    for (u32 i = 1; i + 2 < sizeof pattern; i += 2)
        memcpy(pattern + i, "*a", 2);
    pattern[253] = 'b';
    for (u32 i = 0; i < 100; i++) /* with backtracking the first would not end */
        CHECK(!glob(pattern, path));
}

static void test_names_beneath(void) {
    CHECK(differs("/*/secret", "/a") && !differs("/*/secret", "/a/b"));
    CHECK(!differs("/*.txt", "/a.txt") && !differs("/*/**", "/a") && differs("/**/key", "/a"));
    policy_make(&policy, 1);
    policy_add_path(&policy, 0, "/srv/data/secret", 0, FAILS(EACCES_, 1));
    policy_add_path(&policy, 0, "/home/*/keys", 0, FAILS(EACCES_, 2));
    CHECK(policy_speaks_beneath(&policy, "/srv") && policy_speaks_beneath(&policy, "/srv/data"));
    CHECK(!policy_speaks_beneath(&policy, "/srv/data/secret"));
    CHECK(!policy_speaks_beneath(&policy, "/sr") && policy_speaks_beneath(&policy, "/"));
    CHECK(policy_speaks_beneath(&policy, "/home/x") && policy_speaks_beneath(&policy, "/home"));
    CHECK(!policy_speaks_beneath(&policy, "/home/x/y"));
}

static void test_new_names(void) {
    policy_make(&policy, 1);
    policy_add_path(&policy, 0, "/etc/**", R, FAILS(EACCES_, 1));
    policy_add_path(&policy, 0, "/tmp/**", R | W, FAILS(EACCES_, 2));
    policy_add_path(&policy, 0, "/ro/**", R, FAILS(EACCES_, 3));
    CHECK_EQUAL(1, policy_new_name(&policy, "/etc/passwd", "/tmp/x", 0).rule);
    CHECK_EQUAL(3, policy_new_name(&policy, "/tmp/a", "/ro/b", W).rule);
    CHECK_EQUAL(0, policy_new_name(&policy, "/tmp/a", "/tmp/b", W).rule);
    CHECK_EQUAL(2, policy_new_name(&policy, "/tmp/a", "/anywhere/b", W).rule); /* would gain x */
}

static struct policy_address address(const u8 bytes[4], u16 port, u8 protocol) {
    struct policy_address made = {.port = port, .protocol = protocol};
    made.bytes[10] = made.bytes[11] = 0xff;
    memcpy(made.bytes + 12, bytes, 4);
    return made;
}

static struct kw_policy_network network(const u8 bytes[4], u32 prefix, u32 direction, u16 port,
                                        u8 protocol, struct kw_policy_verdict verdict) {
    struct policy_address made = address(bytes, 0, 0);
    struct kw_policy_network rule = {.prefix = (u8)(prefix ? 96 + prefix : 0),
                                     .direction = (u8)direction,
                                     .protocol = protocol,
                                     .port_first = port,
                                     .port_last = port ? port : 65535,
                                     .verdict = verdict};
    if (prefix)
        memcpy(rule.address, made.bytes, sizeof made.bytes);
    return rule;
}

static u32 to(u8 a, u8 b, u8 c, u8 d, u16 port, u8 protocol) {
    struct policy_address made = address((u8[4]){a, b, c, d}, port, protocol);
    return policy_network(&policy, KW_POLICY_TO, &made).rule;
}

static void test_networks(void) {
    enum { TCP = 6, UDP = 17 };
    policy_make(&policy, 1);
    policy.layers[0].other_address = FAILS(EPERM_, 1);
    policy.layers[0].other_listen = FAILS(EPERM_, 2);
    policy_add_network(&policy, 0, network((u8[4]){10, 1, 2, 3}, 32, 0, 0, 0, KILLS(3)));
    policy_add_network(&policy, 0, network((u8[4]){127, 0, 0, 1}, 32, 0, 0, 0, FAILS(EPERM_, 4)));
    policy_add_network(&policy, 0, network((u8[4]){192, 168, 0, 0}, 16, 0, 0, 0, LOGGED(7)));
    policy_add_network(&policy, 0, network((u8[4]){10, 0, 0, 0}, 8, 0, 443, TCP, LOGGED(5)));
    policy_add_network(&policy, 0, network((u8[4]){10, 0, 0, 0}, 8, 0, 53, 0, LOGGED(6)));
    policy_add_network(&policy, 0, network((u8[4]){0}, 0, 0, 53, UDP, LOGGED(8)));
    policy_add_network(&policy, 0, network((u8[4]){0}, 0, 1, 8080, 0, LOGGED(9)));
    CHECK_TEXT(NULL, policy_check(&policy));
    CHECK_EQUAL(3, to(10, 1, 2, 3, 443, TCP));
    CHECK_EQUAL(5, to(10, 1, 2, 4, 443, TCP));
    CHECK_EQUAL(1, to(10, 1, 2, 4, 443, UDP));
    CHECK_EQUAL(6, to(10, 1, 2, 4, 53, UDP));
    CHECK_EQUAL(8, to(11, 1, 2, 4, 53, UDP));
    CHECK_EQUAL(7, to(192, 168, 3, 4, 1, TCP));
    CHECK_EQUAL(1, to(192, 169, 3, 4, 1, TCP));
    CHECK_EQUAL(4, to(0, 0, 0, 0, 1, TCP)); /* Linux connects to itself */
    struct policy_address here = address((u8[4]){0}, 8080, TCP), six = {.port = 1};
    CHECK_EQUAL(9, policy_network(&policy, KW_POLICY_LISTEN, &here).rule);
    here.port = 8081;
    CHECK_EQUAL(2, policy_network(&policy, KW_POLICY_LISTEN, &here).rule);
    CHECK_EQUAL(1, policy_network(&policy, KW_POLICY_TO, &six).rule);
}

static void test_rates(void) {
    u64 buckets[KW_POLICY_RATES_MAX] = {0}, now = 1000 * SECOND;
    policy_make(&policy, 1);
    policy.rate_count = 1;
    policy.rates[0] = (struct kw_policy_rate){
        .verdict = FAILS(EAGAIN_, 1), .interval_ns = SECOND / 50, .burst = 5};
    policy.rates[0].calls[1] = 1; /* call 64 */
    CHECK_TEXT(NULL, policy_check(&policy));
    for (u32 i = 0; i < 5; i++)
        CHECK_EQUAL(KW_POLICY_ALLOW, policy_rates(&policy, buckets, 64, now).action);
    CHECK_EQUAL(KW_POLICY_ERRNO, policy_rates(&policy, buckets, 64, now).action);
    CHECK_EQUAL(KW_POLICY_ALLOW, policy_rates(&policy, buckets, 65, now).action);
    now += SECOND / 50;
    CHECK_EQUAL(KW_POLICY_ALLOW, policy_rates(&policy, buckets, 64, now).action);
    CHECK_EQUAL(KW_POLICY_ERRNO, policy_rates(&policy, buckets, 64, now).action);
    u32 allowed = 0;
    for (u32 i = 0; i < 1000; i++, now += SECOND / 1000)
        allowed += policy_rates(&policy, buckets, 64, now).action == KW_POLICY_ALLOW;
    CHECK(allowed >= 49 && allowed <= 51);
    buckets[0] = ~0ul; /* by a hostile monitor: it only ever harms its own instance */
    CHECK_EQUAL(KW_POLICY_ERRNO, policy_rates(&policy, buckets, 64, now).action);
}

static void test_what_is_refused(void) {
    policy_make(&policy, 1);
    policy.magic++;
    CHECK(policy_check(&policy) != NULL);
    policy_make(&policy, KW_POLICY_LAYERS_MAX);
    policy.layer_count++;
    CHECK(policy_check(&policy) != NULL);
    policy_make(&policy, 1);
    policy.ask_timeout_ms = KW_POLICY_ASK_MS_MAX;
    CHECK_TEXT(NULL, policy_check(&policy));
    policy.ask_timeout_ms++;
    CHECK(policy_check(&policy) != NULL);
    policy_make(&policy, 1);
    policy.layers[0].calls[7].verdict = FAILS(512, 1); /* a code for restarting */
    CHECK(policy_check(&policy) != NULL);
    policy_make(&policy, 1);
    policy.layers[0].calls[7].count = 1;
    CHECK(policy_check(&policy) != NULL);
    policy_make(&policy, 1);
    policy_add_path(&policy, 0, "/a/b", R, FAILS(EACCES_, 1));
    policy.paths[0].hash++;
    CHECK(policy_check(&policy) != NULL);
    policy_make(&policy, 1);
    policy_add_path(&policy, 0, "/a/x**", R, FAILS(EACCES_, 1));
    CHECK(policy_check(&policy) != NULL);
    policy_make(&policy, 1);
    policy_add_path(&policy, 0, "/a/*\\", R, FAILS(EACCES_, 1));
    CHECK(policy_check(&policy) != NULL);
}

int main(void) {
    test_calls();
    test_layers();
    test_looks();
    test_paths();
    test_long_paths();
    test_globs();
    test_globs_are_fast();
    test_names_beneath();
    test_new_names();
    test_networks();
    test_rates();
    test_what_is_refused();
    return check_done();
}
