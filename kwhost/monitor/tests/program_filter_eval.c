/* Shows what the filter of a program without a monitor decides, for tests in Python: built by
 * tests/unit/program_filters.py. Arguments: a file with a struct kw_policy, one with a struct
 * kw_ceiling, 1 or 0 for file rules of the broker's and for learning, and the channel's descriptor.
 * The first line of the output is the filter's length. Each line of standard input is a call,
 * NUMBER A0 A1 A2 A3 A4 A5; the answer is a line "VERDICT STEPS REFUSED PERFORMED": what the filter
 * returns, after how many instructions, and what the rules say of it. With two policies and the
 * word change: whether the filter of the first one goes with the second, as enum program_change. */
#include <stdio.h>
#include <stdlib.h>

#include "jail/program_change.h"
#include "jail/program_rules.h"
#include "policy/policy.h"
#include "tests/bpf.h"

static bool read_file(const char *name, void *to, size_t size, size_t least) {
    FILE *file = fopen(name, "rb");
    bool good = file && fread(to, 1, size, file) >= least;
    if (file)
        fclose(file);
    return good;
}

static bool read_policy(const char *name, struct kw_policy *policy) {
    return read_file(name, policy, sizeof *policy, sizeof *policy) && !policy_check(policy);
}

static void answer(const struct program_filter *filter, const struct sock_filter *code,
                   char *line) {
    u64 word[7];
    u32 steps = 0;
    for (u32 i = 0; i < 7; i++)
        word[i] = strtoull(line, &line, 0);
    struct seccomp_data data = {.nr = (int)word[0], .arch = AUDIT_ARCH_X86_64};
    memcpy(data.args, word + 1, sizeof data.args);
    u32 verdict = bpf_run(code, &data, &steps);
    printf("%u %u %u %u\n", verdict, steps, program_refuses((u32)word[0], word + 1),
           program_is_performed(program_filter_rules(filter), (u32)word[0], word + 1));
}

static int show_change(struct program_filter *filter, const char *name) {
    static struct kw_policy changed;
    u32 call;
    if (!read_policy(name, &changed))
        return 3;
    printf("%d\n", (int)program_change(filter, &changed, &call));
    return 0;
}

int main(int argc, char **argv) {
    static struct kw_policy policy;
    static struct kw_ceiling ceiling;
    static struct sock_filter code[PROGRAM_FILTER_MAX];
    struct program_filter filter = {.policy = &policy, .files = true, .channel = -1};
    char line[512];
    if (argc < 4 || !read_policy(argv[1], &policy))
        return 3;
    if (!strcmp(argv[3], "change"))
        return show_change(&filter, argv[2]);
    if (argc != 6 ||
        !read_file(argv[2], &ceiling, sizeof ceiling, offsetof(struct kw_ceiling, texts)))
        return 4;
    filter.ceiling = ceiling.calls;
    filter.files = atoi(argv[3]);
    filter.learn = atoi(argv[4]);
    filter.channel = atoi(argv[5]);
    u32 length = program_filter_make(&filter, code);
    if (!bpf_is_good(code, length))
        return 5;
    printf("%u\n", length);
    while (fgets(line, sizeof line, stdin))
        answer(&filter, code, line);
    return 0;
}
