#include "jail/filter_rules.h"

#include <asm/prctl.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/kvm.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/seccomp.h>
#include <linux/shm.h>

#include "calls/call.h"
#include "calls/dispatch.h"
#include "calls/handlers.h"
#include "calls/requests.h"
#include "jail/filter_words.h"
#include "jail/kernel.h"
#include "jail/needs.h"

#define KVM_REQUESTS                                                                               \
    KVM_RUN, KVM_GET_SREGS, KVM_SET_SREGS, KVM_GET_XSAVE, KVM_SET_XSAVE, KVM_SET_MSRS,             \
        KVM_SET_USER_MEMORY_REGION, KVM_CREATE_VM, KVM_CREATE_VCPU, KVM_GET_VCPU_MMAP_SIZE,        \
        KVM_GET_SUPPORTED_CPUID, KVM_SET_CPUID2, KVM_SET_XCRS, KVM_SET_DEVICE_ATTR

#define NOTICES                                                                                    \
    SECCOMP_IOCTL_NOTIF_RECV, SECCOMP_IOCTL_NOTIF_SEND, SECCOMP_IOCTL_NOTIF_ID_VALID,              \
        SECCOMP_IOCTL_NOTIF_ADDFD
#define FILE_ATTRIBUTES FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR
#ifndef __NR_fchmodat2
#define __NR_fchmodat2 452 /* newer than the headers of the oldest supported system */
#endif

/* What is compared are halves of arguments, by their offset in struct seccomp_data. */
#define LOW(argument) (16 + 8 * (argument))
#define HIGH(argument) (20 + 8 * (argument))

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
#define MONITOR_FOR(name, who, ...)
#define INIT(name, who)
#define KEEPER(name, who)
#define SUPERVISE(name, who)
#define HOSTED(name, who)
#define JOINER(name, who)
#define BROKER(name, who)
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
const struct limit filter_limits[] = {
#include "jail/filter.def"
};
const u32 filter_limit_count = array_size(filter_limits);
#undef MONITOR
#undef MONITOR_FOR
#undef INIT
#undef KEEPER
#undef SUPERVISE
#undef HOSTED
#undef JOINER
#undef BROKER
#undef NEVER
#undef LIMIT

/* The calls by number. */
#define BIT(role) (1u << FILTER_##role)
#define LIMIT(who, name, condition, at, check, meaning)
#define MONITOR(name, who) {__NR_##name, BIT(MONITOR) | BIT(JOINER)},
#define MONITOR_FOR(name, who, ...)
#define INIT(name, who) {__NR_##name, BIT(INIT)},
#define KEEPER(name, who) {__NR_##name, BIT(KEEPER)},
#define SUPERVISE(name, who) {__NR_##name, BIT(SUPERVISE) | BIT(HOSTED)},
#define HOSTED(name, who) {__NR_##name, BIT(HOSTED)},
#define JOINER(name, who) {__NR_##name, BIT(JOINER)},
#define BROKER(name, who) {__NR_##name, BIT(BROKER)},
#define NEVER(name) {__NR_##name, 0},
static const struct {
    u16 call;
    u16 roles; /* a bit for each that may make it; 0: no role but those that say so */
} calls[] = {
#include "jail/filter.def"
};
#undef MONITOR
#undef MONITOR_FOR
#undef INIT
#undef KEEPER
#undef SUPERVISE
#undef HOSTED
#undef JOINER
#undef BROKER
#undef NEVER

/* The calls that monitors make for the sake of some of the program's. */
#define MONITOR(name, who)
#define MONITOR_FOR(name, who, ...)                                                                \
    {__NR_##name, sizeof((const u16[]){__VA_ARGS__}) / sizeof(u16), (const u16[]){__VA_ARGS__}},
#define INIT(name, who)
#define KEEPER(name, who)
#define SUPERVISE(name, who)
#define HOSTED(name, who)
#define JOINER(name, who)
#define BROKER(name, who)
#define NEVER(name)
static const struct need {
    u16 call;
    u16 count;
    const u16 *callers;
} needs[] = {
#include "jail/filter.def"
};

/* Whether the row's handler makes the very call on the host. */
static bool passes_on(const struct call_entry *entry) {
    return entry->handler == call_forward || entry->handler == call_brokered ||
           entry->handler == socket_forward || entry->handler == address_forward ||
           entry->handler == descriptor_forward || entry->handler == descriptor_change ||
           entry->handler == set_identity;
}

/* Whether the program may ever make the call. */
static bool may_be_made(const u64 *ceiling, u32 call) {
    return !ceiling || ceiling[call / 64] >> call % 64 & 1;
}

static bool is_needed(const u64 *ceiling, const struct need *need) {
    for (u32 i = 0; i < need->count; i++)
        if (may_be_made(ceiling, need->callers[i]))
            return true;
    return false;
}

/* What monitors do for the program. */
static void decide_for_program(const u64 *ceiling, u8 action[CALL_LIMIT]) {
    for (u32 i = 0; i < CALL_LIMIT; i++)
        if (passes_on(&call_table[i]) && may_be_made(ceiling, i))
            action[i] = ACTION_ALLOW;
    for (u32 i = 0; i < array_size(needs); i++)
        if (is_needed(ceiling, &needs[i]))
            action[needs[i].call] = ACTION_ALLOW;
}

void filter_decide(enum filter_role role, const u64 *ceiling, u8 action[CALL_LIMIT]) {
    u32 bit = 1u << role;
    for (u32 i = 0; i < CALL_LIMIT; i++)
        action[i] = ACTION_REFUSE;
    if (bit & (BIT(MONITOR) | BIT(JOINER)))
        decide_for_program(ceiling, action);
    for (u32 i = 0; i < array_size(calls); i++)
        if (calls[i].roles & bit)
            action[calls[i].call] = ACTION_ALLOW;
        else if (!calls[i].roles && action[calls[i].call] == ACTION_REFUSE)
            action[calls[i].call] = ACTION_KILL;
    for (u32 i = 0; i < array_size(filter_limits); i++)
        if (filter_limits[i].role == role && action[filter_limits[i].call] == ACTION_ALLOW)
            action[filter_limits[i].call] = ACTION_LIMIT;
}
