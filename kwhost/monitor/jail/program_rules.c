#include "jail/program_rules.h"

#include <asm/prctl.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/personality.h>
#include <linux/prctl.h>
#include <linux/shm.h>
#include <linux/udp.h>

#include "abi/kw_abi.h"
#include "calls/requests.h"
#include "jail/filter_words.h"
#include "jail/kernel.h"
#include "jail/needs.h"

#define SOCK_DGRAM 2
#define OTHER_TYPES 0, 4, 5, 6, 7, 8, 9, 10 /* than streams, datagrams, raw; beyond: EINVAL */
#define PROTOCOLS                                                                                  \
    0, IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMPV6, IPPROTO_UDPLITE, IPPROTO_RAW,       \
        IPPROTO_MPTCP
#define IPV6_END 80
#define MPTCP_END 4 /* MPTCP_FULL_INFO holds pointers */
/* PR_SET_VMA: newer than the headers of the oldest supported system. */
#define SET_VMA 0x53564d41u

/* The rows' conditions. */
#define CONDITION(n, kind, bits, ...)                                                              \
    {                                                                                              \
        .argument = (n), .test = PROGRAM_##kind, .mask = (bits),                                   \
        .count = sizeof((const u64[]){__VA_ARGS__}) / sizeof(u64), .values = (const u64[]) {       \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define LOW_HALF 0xfffffffful
#define ALWAYS                                                                                     \
    { 0 }
#define ONE_OF(n, ...) CONDITION(n, ONE_OF, LOW_HALF, __VA_ARGS__)
#define NONE_OF(n, ...) CONDITION(n, NONE_OF, LOW_HALF, __VA_ARGS__)
#define LEAST(n, value) CONDITION(n, LEAST, LOW_HALF, value)
#define MOST(n, value) CONDITION(n, MOST, LOW_HALF, value)
#define ANY_BITS(n, bits) CONDITION(n, NONE_OF, LOW_HALF &(bits), 0)
#define MASKED(n, bits, ...) CONDITION(n, ONE_OF, bits, __VA_ARGS__)
#define NOT_IN(n, list)                                                                            \
    {                                                                                              \
        .argument = (n), .test = PROGRAM_NONE_OF, .mask = LOW_HALF, .count = array_size(list),     \
        .values = (list)                                                                           \
    }
#define GIVEN(n) CONDITION(n, NONE_OF, ~0ul, 0)
#define WITHOUT(n, bits) CONDITION(n, ONE_OF, LOW_HALF &(bits), 0)
#define EQUALS(n, value) ONE_OF(n, value)
#define FOR_NEITHER(n) MASKED(n, O_ACCMODE | O_PATH, O_ACCMODE)

static const u64 ioctl_requests[] = {
#define IOCTL(name, kind) name,
#include "calls/ioctls.def"
#undef IOCTL
};
static const u64 prctl_options[] = {
    PR_SET_NAME,
    PR_GET_NAME,
    PR_SET_PDEATHSIG,
    PR_GET_PDEATHSIG,
    PR_SET_DUMPABLE,
    PR_GET_DUMPABLE,
    PR_GET_CHILD_SUBREAPER,
    PR_GET_SECCOMP,
    PR_SET_TSC,
    PR_GET_TSC,
    SET_VMA,
#define OPTION(name) name,
#include "calls/prctls.def"
#undef OPTION
};

#define PASSED(name, why)
#define NATIVE(name, why)
#define REFUSED(name, error, meaning, ...)                                                         \
    {.call = NR_##name, .what = (error), .conditions = {__VA_ARGS__}},
static const struct program_row refusals[] = {
#include "jail/program_filter.def"
};
const struct program_rows program_refusals = {refusals, array_size(refusals)};
#undef PASSED
#undef NATIVE
#undef REFUSED

#define FILES PROGRAM_RULES_FILES
#define NETWORK PROGRAM_RULES_NETWORK
#define REST (FILES | PROGRAM_RULES_REST)
#define EITHER (REST | NETWORK)
#define OBJECTS (REST | PROGRAM_RULES_OBJECTS)
#define PERFORMED(rules, name, when, meaning)                                                      \
    {.call = NR_##name, .what = (rules), .conditions = {when}},
static const struct program_row performed[] = {
#include "broker/performed.def"
};
const struct program_rows program_performed = {performed, array_size(performed)};

/* What calls/table.def says of a call. 0: it has no such number. */
#define MADE 1u
#define REFUSED_WITH(error) ((error) + 1u)
#define CALL(number, name, class, handler, restart, arguments, note) [number] = MADE,
#define REFUSE(number, name, error, arguments, note) [number] = REFUSED_WITH(error),
static const u16 table[KW_CALL_LIMIT] = {
#include "calls/table.def"
};

static bool is_native(u64 nr) {
    switch (nr) {
#define PASSED(name, why)
#define NATIVE(name, why) case NR_##name:
#define REFUSED(name, error, meaning, ...)
#include "jail/program_filter.def"
        return true;
    default:
        return false;
    }
#undef PASSED
#undef NATIVE
}

bool program_passes(u64 nr) {
    switch (nr) {
#define PASSED(name, why) case NR_##name:
#define NATIVE(name, why)
#include "jail/program_filter.def"
        return true;
    default:
        return false;
    }
}

u32 program_refuses_all(u64 nr) {
    if (nr >= KW_CALL_LIMIT || !table[nr])
        return ENOSYS;
    return is_native(nr) ? 0 : table[nr] - MADE;
}

static bool holds(const struct program_condition *condition, const u64 arg[6]) {
    u64 value = arg[condition->argument] & condition->mask;
    bool found = false;
    if (condition->test == PROGRAM_LEAST)
        return value >= condition->values[0];
    if (condition->test == PROGRAM_MOST)
        return value <= condition->values[0];
    for (u32 i = 0; i < condition->count; i++)
        found |= value == condition->values[i];
    return found == (condition->test == PROGRAM_ONE_OF);
}

static bool all_hold(const struct program_row *row, const u64 arg[6]) {
    for (u32 i = 0; i < PROGRAM_CONDITIONS && row->conditions[i].count; i++)
        if (!holds(&row->conditions[i], arg))
            return false;
    return true;
}

u32 program_refuses(u64 nr, const u64 arg[6]) {
    u32 error = program_refuses_all(nr);
    for (u32 i = 0; i < array_size(refusals) && !error; i++)
        if (refusals[i].call == nr && all_hold(&refusals[i], arg))
            error = refusals[i].what;
    return error;
}

bool program_is_performed(u32 rules, u64 nr, const u64 arg[6]) {
    for (u32 i = 0; i < array_size(performed); i++)
        if (performed[i].call == nr && performed[i].what & rules && all_hold(&performed[i], arg))
            return true;
    return false;
}
