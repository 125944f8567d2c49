#include "jail/identity.h"

#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/securebits.h>

#include "jail/kernel.h"
#include "process/exec.h"

/* Dropping root drops its capabilities, unless the program asks to keep them up to its next exec
 * (as setpriv and many daemons do on their way); nobody but root gets any through an exec. */
#define SECURE_BITS                                                                                \
    (SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |          \
     SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

#define LEAST_NOFILE 64u
#define USUAL_SOFT_NOFILE 1024u
#define UNLIMITED (~0ul)
#define HOST_STACK_MOST (64ul << 20)

bool identity_become_root(bool may_set_groups, struct failure *failure) {
    long result = may_set_groups ? host(__NR_setgroups, 0, 0) : 0;
    if (result >= 0)
        result = host(__NR_setresgid, 0, 0, 0);
    if (result >= 0)
        result = host(__NR_setresuid, 0, 0, 0);
    return result >= 0 || fail(failure, STATUS_OWN, result, "becoming the instance's root");
}

static long limit(u32 which, const u64 *new, u64 *old) {
    return host(__NR_prlimit64, 0, which, new, old);
}

/* The monitor reserves 64 TiB of addresses: a limit on them that cannot be lifted is an error. */
static bool lift_address_limits(struct limits *limits, struct failure *failure) {
    static const u32 unlimited[] = {RLIMIT_AS, RLIMIT_DATA};
    for (u32 i = 0; i < array_size(unlimited); i++) {
        u64 *own = limits->values[unlimited[i]];
        if (own[1] != UNLIMITED)
            return fail(
                failure, STATUS_OWN, 0,
                "the limit on address space or data (ulimit -v, -d) must be unlimited here");
        own[0] = UNLIMITED;
        long result = limit(unlimited[i], own, NULL);
        if (result < 0)
            return fail(failure, STATUS_OWN, result, "lifting the limit on address space");
    }
    return true;
}

/* The host lays out addresses by the stack limit: a large or unlimited one moves what it maps by
 * itself down to where the window has to be. Guests keep the value (struct process). */
static bool limit_host_stack(const struct limits *limits, struct failure *failure) {
    const u64 *guest = limits->values[RLIMIT_STACK];
    u64 host_stack[2] = {min_u64(guest[0], HOST_STACK_MOST), guest[1]};
    long result = limit(RLIMIT_STACK, host_stack, NULL);
    if (result >=
        0) /* no layout of former times (setarch -L), and random addresses, from here on */
        result = host(__NR_personality, 0);
    return result >= 0 || fail(failure, STATUS_OWN, result, "limiting the monitor's stack");
}

static bool limit_core(struct limits *limits, struct failure *failure) {
    u64 *core = limits->values[RLIMIT_CORE];
    core[0] = core[1] = 0;
    long result = limit(RLIMIT_CORE, core, NULL);
    return result >= 0 || fail(failure, STATUS_OWN, result, "limiting core files");
}

bool identity_limit(const struct launch *launch, struct limits *limits, struct failure *failure) {
    for (u32 i = 0; i < array_size(limits->values); i++)
        limit(i, NULL, limits->values[i]);
    if (!lift_address_limits(limits, failure) || !limit_host_stack(limits, failure))
        return false;

    u64 *nofile = limits->values[RLIMIT_NOFILE];
    u64 guest = launch->record->nofile;
    if (nofile[1] < guest + OWN_FD_COUNT)
        guest = nofile[1] < OWN_FD_COUNT ? 0 : nofile[1] - OWN_FD_COUNT;
    if (guest < LEAST_NOFILE)
        return fail(failure, STATUS_OWN, 0,
                    "the hard limit on open files is %lu, at least %u are needed: ulimit -Hn",
                    (unsigned long)nofile[1], OWN_FD_COUNT + LEAST_NOFILE);
    u64 whole[2] = {guest + OWN_FD_COUNT, guest + OWN_FD_COUNT};
    long result = limit(RLIMIT_NOFILE, whole, NULL);
    if (result < 0)
        return fail(failure, STATUS_OWN, result, "limiting the number of open files");
    limits->own_base = (u32)guest;
    nofile[0] = min_u64(USUAL_SOFT_NOFILE, guest);
    nofile[1] = guest;

    return limit_core(limits, failure);
}

bool identity_limit_program(const struct launch *launch, struct limits *limits,
                            struct failure *failure) {
    u64 *nofile = limits->values[RLIMIT_NOFILE];
    limit(RLIMIT_NOFILE, NULL, nofile);
    u64 guest = min_u64(launch->record->nofile, nofile[1] - 1);
    if (guest < LEAST_NOFILE)
        return fail(failure, STATUS_OWN, 0,
                    "the hard limit on open files is %lu, at least %u are needed: ulimit -Hn",
                    (unsigned long)nofile[1], LEAST_NOFILE + 1);
    u64 whole[2] = {guest + 1, guest + 1};
    long result = limit(RLIMIT_NOFILE, whole, NULL);
    if (result >= 0) /* no layout of former times (setarch -L), and random addresses */
        result = host(__NR_personality, 0);
    if (result < 0)
        return fail(failure, STATUS_OWN, result, "limiting the number of open files");
    limits->own_base = (u32)guest;
    nofile[0] = min_u64(USUAL_SOFT_NOFILE, guest);
    nofile[1] = guest;
    return limit_core(limits, failure);
}

bool identity_limit_tasks(u32 most, struct failure *failure) {
    u64 tasks[2] = {most + 1ul, most + 1ul}; /* the broker counts as the instance's root */
    long result = most ? limit(RLIMIT_NPROC, tasks, NULL) : 0;
    return result >= 0 || fail(failure, STATUS_OWN, result, "limiting the number of processes");
}

bool identity_finish_program(const struct limits *limits, struct failure *failure) {
    long result = limit(RLIMIT_NOFILE, limits->values[RLIMIT_NOFILE], NULL);
    return result >= 0 || fail(failure, STATUS_OWN, result, "limiting the number of open files");
}

bool identity_finish_limits(const struct limits *limits, struct failure *failure) {
    const u64 *guest = limits->values[RLIMIT_NOFILE];
    u64 final[2] = {guest[0], guest[1] + OWN_FD_COUNT};
    long result = limit(RLIMIT_NOFILE, final, NULL);
    return result >= 0 || fail(failure, STATUS_OWN, result, "limiting the number of open files");
}

/* No program of the instance can ever have more than the kept ones, whatever it executes. */
static long drop_bounding_set(void) {
    for (u32 capability = 0; capability < 64; capability++) {
        if (capability < 32 && KEPT_CAPABILITIES & 1u << capability)
            continue;
        long result = host(__NR_prctl, PR_CAPBSET_DROP, capability, 0, 0, 0);
        if (result == -EINVAL && capability > CAP_SYS_CHROOT)
            break; /* the kernel knows no more of them */
        if (result < 0)
            return result;
    }
    return 0;
}

static long set_capabilities(void) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {
        {.effective = KEPT_CAPABILITIES, .permitted = KEPT_CAPABILITIES}};
    return host(__NR_capset, &header, data);
}

bool identity_drop(const struct launch *launch, bool may_set_groups, struct failure *failure) {
    const struct kw_launch *record = launch->record;
    long result = drop_bounding_set();
    if (result < 0)
        return fail(failure, STATUS_OWN, result, "limiting the capabilities");
    result = host(__NR_prctl, PR_SET_SECUREBITS, SECURE_BITS, 0, 0, 0);
    if (result < 0)
        return fail(failure, STATUS_OWN, result, "setting the secure bits");
    if (may_set_groups)
        result = host(__NR_setgroups, record->group_count, record->groups);
    else if (record->group_count > 0)
        return fail(
            failure, STATUS_OWN, 0,
            "supplementary groups need subordinate ids in /etc/subgid for an ordinary user");
    if (result >= 0)
        result = host(__NR_setresgid, record->gid, record->gid, record->gid);
    if (result >= 0)
        result = set_capabilities();
    if (result >= 0) /* the kernel drops all capabilities with it, except for root */
        result = host(__NR_setresuid, record->uid, record->uid, record->uid);
    return result >= 0 || fail(failure, STATUS_OWN, result, "becoming user %u, group %u",
                               record->uid, record->gid);
}
