#include "filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/nsfs.h>
#include <linux/seccomp.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define X32_FIRST 0x40000000 /* the numbers of programs with short pointers */

/* All arguments that are looked at have 32 bits: the kernel ignores the others, and so does this. A
 * mask of 0 fits always. */
struct rule {
    enum filter_role role;
    uint32_t call;
    uint32_t argument, mask, value;
};

#define ALLOW(role, call, need) {FILTER_##role, SYS_##call, 0, 0, 0},
#define ALLOW_IF(role, call, argument, mask, value, need, meaning)                                 \
    {FILTER_##role, SYS_##call, argument, mask, value},
#define NEVER(call)
static const struct rule rules[] = {
#include "filter.def"
};
#undef ALLOW
#undef ALLOW_IF
#undef NEVER
#define ALLOW(role, call, need)
#define ALLOW_IF(role, call, argument, mask, value, need, meaning)
#define NEVER(call) SYS_##call,
static const uint32_t deadly[] = {
#include "filter.def"
};

/* The beginning, 6 steps for each rule, 3 for each deadly call, and the end. */
_Static_assert(8 + 6 * COUNT_OF(rules) + 3 * COUNT_OF(deadly) <= FILTER_LENGTH_MAX, "all fits");

struct filter {
    struct sock_filter *code;
    unsigned short length;
};

static void add(struct filter *filter, struct sock_filter step) {
    filter->code[filter->length++] = step;
}

static void load(struct filter *filter, size_t offset) {
    add(filter, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

static void skip_unless(struct filter *filter, uint32_t value, uint8_t count) {
    add(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, count));
}

static void end_with(struct filter *filter, uint32_t what) {
    add(filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, what));
}

static void begin(struct filter *filter) {
    load(filter, offsetof(struct seccomp_data, arch));
    add(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0));
    end_with(filter, SECCOMP_RET_KILL_PROCESS);
    load(filter, offsetof(struct seccomp_data, nr));
    add(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_FIRST, 0, 1));
    end_with(filter, SECCOMP_RET_KILL_PROCESS);
}

static void allow(struct filter *filter, const struct rule *rule) {
    if (!rule->mask) {
        skip_unless(filter, rule->call, 1);
        end_with(filter, SECCOMP_RET_ALLOW);
        return;
    }
    skip_unless(filter, rule->call, 5);
    load(filter, offsetof(struct seccomp_data, args) + 8 * rule->argument);
    add(filter, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, rule->mask));
    skip_unless(filter, rule->value, 1);
    end_with(filter, SECCOMP_RET_ALLOW);
    load(filter, offsetof(struct seccomp_data, nr));
}

unsigned short filter_make(enum filter_role role, struct sock_filter code[FILTER_LENGTH_MAX]) {
    struct filter filter = {code, 0};
    begin(&filter);
    for (size_t i = 0; i < COUNT_OF(rules); i++)
        if (role == FILTER_SERVER || rules[i].role == role)
            allow(&filter, &rules[i]);
    for (size_t i = 0; i < COUNT_OF(deadly) && role == FILTER_SERVER; i++) {
        skip_unless(&filter, deadly[i], 1);
        end_with(&filter, SECCOMP_RET_KILL_PROCESS);
    }
    end_with(&filter,
             role == FILTER_SERVER ? SECCOMP_RET_ERRNO | FILTER_REFUSED : SECCOMP_RET_KILL_PROCESS);
    return filter.length;
}

int filter_set(enum filter_role role) {
    struct sock_filter code[FILTER_LENGTH_MAX];
    struct sock_fprog program = {filter_make(role, code), code};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0 ? -errno : 0;
}
