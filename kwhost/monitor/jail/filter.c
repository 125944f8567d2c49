#include "jail/filter.h"

#include <asm/prctl.h>
#include <asm/socket.h>
#include <linux/audit.h>
#include <linux/fcntl.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/kvm.h>
#include <linux/mman.h>
#include <linux/netlink.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/shm.h>
#include <linux/tcp.h>

#include "base/own_fd.h"
#include "calls/call.h"
#include "calls/dispatch.h"
#include "calls/handlers.h"
#include "calls/requests.h"
#include "jail/kernel.h"

#define X32_CALLS 0x40000000u /* numbers of the x32 architecture begin here */
#define NAMESPACES                                                                                 \
    (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP |  \
     CLONE_NEWNET)
#define AF_NETLINK 16
#define SOL_NETLINK 270
#define SOL_MPTCP 284
#define FAMILIES AF_UNIX, AF_INET, AF_INET6, AF_NETLINK
#define SOCKET_LEVELS                                                                              \
    SOL_SOCKET, IPPROTO_IP, IPPROTO_IPV6, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP,                \
        IPPROTO_UDPLITE, IPPROTO_RAW, SOL_NETLINK, SOL_MPTCP
#define IP_TABLES_FIRST 64
#define IP6_TABLES 64, 65, 68, 69
#define KVM_REQUESTS                                                                               \
    KVM_RUN, KVM_GET_SREGS, KVM_SET_SREGS, KVM_GET_XSAVE, KVM_SET_XSAVE, KVM_SET_MSRS,             \
        KVM_SET_USER_MEMORY_REGION, KVM_CREATE_VM, KVM_CREATE_VCPU, KVM_GET_VCPU_MMAP_SIZE,        \
        KVM_GET_SUPPORTED_CPUID, KVM_SET_CPUID2, KVM_SET_XCRS, KVM_SET_DEVICE_ATTR

/* Values that are known when a filter is made only: none of them fits an argument's half. */
#define OWN (1ul << 32)      /* the sealed executable's descriptor */
#define OWN_PATH (2ul << 32) /* the address of own_path */

/* What is compared are halves of arguments, by their offset in struct seccomp_data. */
#define LOW(argument) (16 + 8 * (argument))
#define HIGH(argument) (20 + 8 * (argument))

enum limit_when { WHEN_ALWAYS, WHEN_IF, WHEN_UNLESS };
enum limit_test { TEST_ONE_OF, TEST_NONE_OF, TEST_NO_BITS, TEST_BELOW };

/* A condition on a call's arguments: `test` of the word at `word` against the values, required
 * always or depending on another word. */
struct limit {
    u8 role;
    u16 call;
    u8 when, guard_word;
    u8 word, test;
    u16 count;
    u64 guard;
    const u64 *values;
};

#define IOCTL(name, kind) name,
static const u64 ioctl_requests[] = {
    KVM_REQUESTS,
#include "calls/ioctls.def"
};
#undef IOCTL
_Static_assert(array_size(ioctl_requests) < 256, "a jump in a filter goes no further");
#define OPTION(name) name,
static const u64 prctl_options[] = {
    /* Those that calls/prctl.c looks at itself. */
    PR_SET_NAME,      PR_GET_NAME,     PR_SET_PDEATHSIG,
    PR_GET_PDEATHSIG, PR_SET_DUMPABLE, PR_GET_CHILD_SUBREAPER,
#include "calls/prctls.def"
};
#undef OPTION

/* The limits. */
#define MONITOR(name, who)
#define INIT(name, who)
#define SUPERVISE(name, who)
#define HOSTED(name, who)
#define NEVER(name)
#define ALWAYS .when = WHEN_ALWAYS
#define IF(at, value) .when = WHEN_IF, .guard_word = at, .guard = value
#define UNLESS(at, value) .when = WHEN_UNLESS, .guard_word = at, .guard = value
#define IN(list) .test = TEST_ONE_OF, .values = list, .count = array_size(list)
#define VALUES(...)                                                                                \
    .values = (const u64[]){__VA_ARGS__}, .count = sizeof((const u64[]){__VA_ARGS__}) / sizeof(u64)
#define ONE_OF(...) .test = TEST_ONE_OF, VALUES(__VA_ARGS__)
#define NONE_OF(...) .test = TEST_NONE_OF, VALUES(__VA_ARGS__)
#define NO_BITS(bits) .test = TEST_NO_BITS, VALUES(bits)
#define BELOW(end) .test = TEST_BELOW, VALUES(end)
#define LIMIT(who, name, condition, at, check, meaning)                                            \
    {.role = FILTER_##who, .call = __NR_##name, condition, .word = at, check},
static const struct limit limits[] = {
#include "jail/filter.def"
};
#undef MONITOR
#undef INIT
#undef SUPERVISE
#undef HOSTED
#undef NEVER
#undef LIMIT

/* The calls by number. */
#define BIT(role) (1u << FILTER_##role)
#define LIMIT(who, name, condition, at, check, meaning)
#define MONITOR(name, who) {__NR_##name, BIT(MONITOR) | BIT(HOSTED)},
#define INIT(name, who) {__NR_##name, BIT(INIT)},
#define SUPERVISE(name, who) {__NR_##name, BIT(SUPERVISE) | BIT(HOSTED)},
#define HOSTED(name, who) {__NR_##name, BIT(HOSTED)},
#define NEVER(name) {__NR_##name, 0},
static const struct {
    u16 call;
    u16 roles; /* a bit for each that may make it; 0: no role but those that say so */
} calls[] = {
#include "jail/filter.def"
};

enum action { ACTION_REFUSE, ACTION_KILL, ACTION_ALLOW, ACTION_LIMIT };

struct writer {
    struct sock_filter *code;
    u32 length;
    u32 own;
    enum filter_role role;
    u8 action[CALL_LIMIT];
};

static u32 emit(struct writer *writer, u16 code, u32 value, u32 yes, u32 no) {
    if (writer->length < FILTER_LENGTH_MAX)
        writer->code[writer->length] = (struct sock_filter){code, (u8)yes, (u8)no, value};
    return writer->length++;
}

static void emit_load(struct writer *writer, u32 offset) {
    emit(writer, BPF_LD | BPF_W | BPF_ABS, offset, 0, 0);
}

static void emit_return(struct writer *writer, enum action action) {
    u32 value = action == ACTION_ALLOW  ? SECCOMP_RET_ALLOW
                : action == ACTION_KILL ? SECCOMP_RET_KILL_PROCESS
                                        : SECCOMP_RET_ERRNO | FILTER_REFUSED;
    emit(writer, BPF_RET | BPF_K, value, 0, 0);
}

static u32 value_of(const struct writer *writer, u64 value) {
    return value == OWN ? writer->own : value == OWN_PATH ? (u32)(u64)own_path : (u32)value;
}

/* Goes on behind what it writes when the test holds, and refuses otherwise. */
static void emit_test(struct writer *writer, const struct limit *limit) {
    static const u16 jumps[] = {
        [TEST_NONE_OF] = BPF_JEQ, [TEST_NO_BITS] = BPF_JSET, [TEST_BELOW] = BPF_JGE};
    emit_load(writer, limit->word);
    for (u32 i = 0; i < limit->count; i++) {
        u32 value = value_of(writer, limit->values[i]);
        u32 left = limit->count - i;
        if (limit->test == TEST_ONE_OF)
            emit(writer, BPF_JMP | BPF_JEQ | BPF_K, value, left, 0);
        else
            emit(writer, BPF_JMP | jumps[limit->test] | BPF_K, value, left - 1, left == 1 ? 1 : 0);
    }
    emit_return(writer, ACTION_REFUSE);
}

static void emit_limit(struct writer *writer, const struct limit *limit) {
    u32 guard = 0;
    if (limit->when != WHEN_ALWAYS) {
        emit_load(writer, limit->guard_word);
        guard = emit(writer, BPF_JMP | BPF_JEQ | BPF_K, value_of(writer, limit->guard), 0, 0);
    }
    emit_test(writer, limit);
    u8 past = (u8)(writer->length - guard - 1);
    if (limit->when == WHEN_IF)
        writer->code[guard].jf = past;
    else if (limit->when == WHEN_UNLESS)
        writer->code[guard].jt = past;
}

static void emit_leaf(struct writer *writer, u32 call) {
    enum action action = call < CALL_LIMIT   ? writer->action[call]
                         : call >= X32_CALLS ? ACTION_KILL
                                             : ACTION_REFUSE;
    if (action == ACTION_LIMIT) {
        for (u32 i = 0; i < array_size(limits); i++)
            if (limits[i].role == writer->role && limits[i].call == call)
                emit_limit(writer, &limits[i]);
        action = ACTION_ALLOW;
    }
    emit_return(writer, action);
}

/* A binary search: the kernel works out once which numbers are always allowed, and does not run the
 * filter for these any more. starts[i] is the first number of a range that is treated alike. */
static void emit_search(struct writer *writer, const u32 *starts, u32 count) {
    if (count == 1) {
        emit_leaf(writer, starts[0]);
        return;
    }
    u32 half = count / 2;
    emit(writer, BPF_JMP | BPF_JGE | BPF_K, starts[half], 0, 1);
    u32 jump = emit(writer, BPF_JMP | BPF_JA, 0, 0, 0);
    emit_search(writer, starts, half);
    writer->code[jump].k = writer->length - jump - 1;
    emit_search(writer, starts + half, count - half);
}

/* Whether the row's handler makes the very call on the host. */
static bool passes_on(const struct call_entry *entry) {
    return entry->handler == call_forward || entry->handler == call_brokered ||
           entry->handler == socket_forward || entry->handler == address_forward ||
           entry->handler == descriptor_forward || entry->handler == descriptor_change ||
           entry->handler == set_identity;
}

static void decide(struct writer *writer) {
    u32 role = 1u << writer->role;
    for (u32 i = 0; i < CALL_LIMIT; i++)
        writer->action[i] = (role & (BIT(MONITOR) | BIT(HOSTED))) && passes_on(&call_table[i])
                                ? ACTION_ALLOW
                                : ACTION_REFUSE;
    for (u32 i = 0; i < array_size(calls); i++)
        if (calls[i].roles & role)
            writer->action[calls[i].call] = ACTION_ALLOW;
        else if (!calls[i].roles && writer->action[calls[i].call] == ACTION_REFUSE)
            writer->action[calls[i].call] = ACTION_KILL;
    for (u32 i = 0; i < array_size(limits); i++)
        if (limits[i].role == writer->role)
            writer->action[limits[i].call] = ACTION_LIMIT;
}

/* Where a range begins: calls with limits stand alone. */
static u32 find_ranges(const struct writer *writer, u32 starts[CALL_LIMIT + 2]) {
    u32 count = 0;
    for (u32 call = 0; call < CALL_LIMIT; call++)
        if (call == 0 || writer->action[call] == ACTION_LIMIT ||
            writer->action[call] != writer->action[call - 1])
            starts[count++] = call;
    starts[count++] = CALL_LIMIT;
    starts[count++] = X32_CALLS;
    return count;
}

u32 filter_make(enum filter_role role, u32 own, struct sock_filter code[FILTER_LENGTH_MAX]) {
    struct writer writer = {.code = code, .own = own, .role = role};
    u32 starts[CALL_LIMIT + 2];
    decide(&writer);
    u32 count = find_ranges(&writer, starts);
    emit_load(&writer, 4); /* the architecture */
    emit(&writer, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
    emit_return(&writer, ACTION_KILL);
    emit_load(&writer, 0); /* the number */
    if (writer.action[__NR_ioctl] == ACTION_LIMIT) {
        emit(&writer, BPF_JMP | BPF_JEQ | BPF_K, __NR_ioctl, 1, 0);
        u32 jump = emit(&writer, BPF_JMP | BPF_JA, 0, 0, 0);
        emit_leaf(&writer, __NR_ioctl);
        code[jump].k = writer.length - jump - 1;
        writer.action[__NR_ioctl] = ACTION_REFUSE; /* never comes so far */
    }
    emit_search(&writer, starts, count);
    return writer.length;
}

long filter_set(enum filter_role role, u32 own) {
    static struct sock_filter code[FILTER_LENGTH_MAX];
    struct sock_fprog program = {.filter = code};
    program.len = (u16)filter_make(role, own, code);
    if (program.len > FILTER_LENGTH_MAX)
        return -E2BIG;
    long result = host(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return result < 0 ? result : host(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}
