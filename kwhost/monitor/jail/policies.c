#include "jail/policies.h"

#include <linux/mman.h>

#include "base/text.h"
#include "calls/call.h"
#include "jail/carried.h"
#include "jail/execution.h"
#include "jail/kernel.h"
#include "jail/program_change.h"
#include "jail/supervisor.h"
#include "policy/learn.h"

#define SEALS (F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define EVENTS_A_SECOND 64

static struct kw_policy *slot_of(const struct policies *policies, u64 generation) {
    return (struct kw_policy *)((u8 *)policies->table + KW_POLICY_SLOTS +
                                (generation & 1) * KW_POLICY_SLOT_SIZE);
}

static long read_part(struct kw_policy *to, int fd, u64 offset, u64 size) {
    long got = size ? host(__NR_pread64, fd, (u8 *)to + offset, size, offset) : 0;
    return got == (long)size ? 0 : got < 0 ? got : -EINVAL;
}

/* What a policy uses of its place behind the header, of which the rest is mostly without memory. */
#define PARTS 6
struct part {
    u64 offset, size;
};

static void find_parts(const struct kw_policy *policy, struct part parts[PARTS]) {
    const struct part used[PARTS] = {
        {offsetof(struct kw_policy, layers), policy->layer_count * sizeof *policy->layers},
        {offsetof(struct kw_policy, arguments), policy->argument_count * sizeof *policy->arguments},
        {offsetof(struct kw_policy, paths), policy->path_count * sizeof *policy->paths},
        {offsetof(struct kw_policy, networks), policy->network_count * sizeof *policy->networks},
        {offsetof(struct kw_policy, rates), policy->rate_count * sizeof *policy->rates},
        {offsetof(struct kw_policy, texts), policy->text_size},
    };
    memcpy(parts, used, sizeof used);
}

/* Reads the parts that a policy uses. The rest of its slot is left as it is, for nobody looks
 * there. */
static long read_policy(struct kw_policy *to, int fd, const char **why) {
    struct part parts[PARTS];
    long result = read_part(to, fd, 0, offsetof(struct kw_policy, layers));
    *why = result ? "it cannot be read" : policy_check_header(to);
    if (*why)
        return result;
    find_parts(to, parts);
    for (u32 i = 0; i < PARTS && !result; i++)
        result = read_part(to, fd, parts[i].offset, parts[i].size);
    *why = result ? "it cannot be read" : NULL;
    return result;
}

/* The slot is one that is not in force: monitors that still read there find out, and begin again.
 */
static long load(struct policies *policies, u64 generation, int fd, const char **why) {
    struct kw_policy *slot = slot_of(policies, generation);
    long result = read_policy(slot, fd, why);
    if (!*why)
        *why = policy_check(slot);
    if (!*why) {
        policies->questions.possible |= policy_asks(slot);
        policy_index(slot);
        if (policies->learn >= 0)
            learn_index(slot);
    }
    return *why && !result ? -EINVAL : result;
}

/* Programs without monitors keep the filters that they have. */
static bool filters_follow(struct policies *policies, const struct kw_policy *policy,
                           const char **why) {
    u32 nr = KW_CALL_LIMIT;
    enum program_change change = program_change(&policies->filter, policy, &nr);
    const char *name = nr < CALL_LIMIT ? call_table[nr].name : NULL;
    bool same = execution_is_same(policies->filter.policy, policy);
    if (change == PROGRAM_CHANGE_GOOD && same)
        return true;
    if (change == PROGRAM_CHANGE_FILES)
        *why = "needs a restart: rules on files that running programs do not ask about";
    else if (change == PROGRAM_CHANGE_NETWORK)
        *why = "needs a restart: rules on addresses that running programs do not ask about";
    else if (change == PROGRAM_CHANGE_GOOD)
        *why = "needs a restart: rules on what may be executed, which running programs keep";
    else
        *why = policies->refusal;
    format(policies->refusal, sizeof policies->refusal,
           "needs a restart: rules on %s that running programs do not ask about",
           name ? name : "calls without a name");
    return false;
}

long policies_replace(struct policies *policies, int fd, const char **why) {
    *why = "the instance was started without a policy";
    if (!policies->table)
        return -EOPNOTSUPP;
    u64 generation = policies->table->generation + 1;
    long result = load(policies, generation, fd, why);
    if (!result && policies->filter.policy &&
        !filters_follow(policies, slot_of(policies, generation), why))
        return -EPERM;
    if (!result)
        __atomic_store_n(&policies->table->generation, generation, __ATOMIC_SEQ_CST);
    return result;
}

static long make_table(struct policies *policies) {
    u32 flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    long fd = host(__NR_memfd_create, "kwhost-policy", flags | MFD_NOEXEC_SEAL);
    if (fd == -EINVAL)
        fd = host(__NR_memfd_create, "kwhost-policy", flags);
    if (fd < 0)
        return fd;
    policies->table_fd = (int)fd;
    long result = host(__NR_ftruncate, fd, KW_POLICY_TABLE_SIZE);
    if (result < 0)
        return result;
    long memory =
        host(__NR_mmap, 0, KW_POLICY_TABLE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (host_failed(memory))
        return memory;
    policies->table = (struct kw_policy_table *)memory;
    policies->questions.answers.answers = (struct kw_policy_answer *)(memory + KW_POLICY_ANSWERS);
    policies->table->magic = KW_POLICY_TABLE_MAGIC;
    policies->table->version = KW_POLICY_VERSION;
    policies->table->size = KW_POLICY_TABLE_SIZE;
    policies->bell = (int)host(__NR_eventfd2, 0, O_CLOEXEC | O_NONBLOCK);
    return policies->bell < 0 ? policies->bell : host(__NR_fcntl, fd, F_ADD_SEALS, SEALS);
}

/* The part of the statistics' memory in which monitors count and tell. */
static bool map_shared(struct supervisor *supervisor) {
    struct statx stat;
    u64 end = KW_POLICY_SHARED_OFFSET + sizeof(struct kw_policy_shared);
    long result = host_stat(supervisor->stats, "", AT_EMPTY_PATH, &stat);
    if (result >= 0 && stat.stx_size < end)
        return fail(&supervisor->failure, STATUS_OWN, 0,
                    "the statistics page has no room for a policy's");
    if (result >= 0)
        result =
            host(__NR_mmap, 0, page_up(sizeof(struct kw_policy_shared)), PROT_READ | PROT_WRITE,
                 MAP_SHARED, supervisor->stats, KW_POLICY_SHARED_OFFSET);
    if (host_failed(result))
        return fail(&supervisor->failure, STATUS_OWN, result, "mapping the policy's counters");
    struct kw_policy_shared *shared = (struct kw_policy_shared *)result;
    supervisor->policies.drain.shared = shared;
    supervisor->policies.questions.answers.asked = shared->asked;
    return true;
}

/* Monitors would be killed where memory that they map is not there. */
static bool check_learn(struct supervisor *supervisor, int fd) {
    struct statx stat;
    if (fd < 0)
        return true;
    long result = host_stat(fd, "", AT_EMPTY_PATH, &stat);
    return (result >= 0 && stat.stx_size >= sizeof(struct kw_learn)) ||
           fail(&supervisor->failure, STATUS_OWN, result, "the memory to learn in");
}

/* A copy of the policy that the instance is started with, for the filters of its programs. */
static bool keep_started(struct supervisor *supervisor) {
    const struct kw_policy *from = slot_of(&supervisor->policies, 0);
    struct part parts[PARTS];
    long memory = host(__NR_mmap, 0, page_up(sizeof *from), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (host_failed(memory))
        return fail(&supervisor->failure, STATUS_OWN, memory, "memory for the policy");
    memcpy((void *)memory, from, offsetof(struct kw_policy, layers));
    find_parts(from, parts);
    for (u32 i = 0; i < PARTS; i++)
        memcpy((u8 *)memory + parts[i].offset, (const u8 *)from + parts[i].offset, parts[i].size);
    supervisor->policies.filter.policy = (const struct kw_policy *)memory;
    /* As if it were so, until the first program tells whether it is. */
    supervisor->policies.filter.files = !carried_fits((const struct kw_policy *)memory);
    return true;
}

bool policies_prepare(struct supervisor *supervisor) {
    struct policies *policies = &supervisor->policies;
    int fd = supervisor->launch.record->policy_fd;
    const char *why;
    policies->learn = supervisor->launch.record->learn_fd;
    const struct launch *launch = &supervisor->launch;
    policies->filter = (struct program_filter){.files = true,
                                               .objects = launch_is_bare(launch) &&
                                                          launch_is(launch, KW_LAUNCH_ROOTLESS),
                                               .learn = policies->learn >= 0,
                                               .channel = -1};
    if (fd < 0)
        return true;
    long result = make_table(policies);
    if (result < 0)
        return fail(&supervisor->failure, STATUS_OWN, result, "making the policy's table");
    result = load(policies, 0, fd, &why);
    if (result < 0)
        return fail(&supervisor->failure, STATUS_OWN, result, "the policy is not valid: %s", why);
    host(__NR_close, fd);
    if (!map_shared(supervisor) || !check_learn(supervisor, policies->learn))
        return false;
    policies->drain.shared->waiting = 1;
    return !launch_is_process(&supervisor->launch) || keep_started(supervisor);
}

int policies_wants(const struct policies *policies) {
    return policies->told < EVENTS_A_SECOND ? policies->bell : -1;
}

static void tell(struct supervisor *supervisor, const struct kw_policy_event *event) {
    struct kw_message message = {.type = KW_EVENT_DENIED,
                                 .value = event->rule,
                                 .extra = event->call,
                                 .time_ns = event->time_ns};
    const u64 *arg = event->arguments;
    u64 *lost = &supervisor->policies.drain.lost;
    format(message.text, sizeof message.text, "%u %u %u %u %lx %lx %lx %lx %lx %lx %lu %s",
           event->pid, event->tid, event->action, event->error, arg[0], arg[1], arg[2], arg[3],
           arg[4], arg[5], *lost, event->text);
    bool missed;
    if (control_tell_often(supervisor, &message, &missed))
        *lost = 0;
    *lost += missed;
}

static u64 tell_events(struct supervisor *supervisor, u64 now) {
    struct policies *policies = &supervisor->policies;
    struct kw_policy_event event;
    u64 rung;
    if (now >= policies->window_end) {
        policies->window_end = now + SECOND_NS;
        policies->told = 0;
    }
    if (policies->told == EVENTS_A_SECOND)
        return policies->window_end;
    /* Those who ring without an event use up what may be told as well. */
    bool woken = host(__NR_read, policies->bell, &rung, sizeof rung) > 0;
    policies->told += woken;
    /* First, so that what comes from here on rings. */
    __atomic_store_n(&policies->drain.shared->waiting, 1, __ATOMIC_SEQ_CST);
    while (policies->told < EVENTS_A_SECOND && drain_take(&policies->drain, &event)) {
        policies->told++;
        tell(supervisor, &event);
    }
    return policies->told == EVENTS_A_SECOND ? policies->window_end : 0;
}

u64 policies_tell(struct supervisor *supervisor, u64 now) {
    if (!supervisor->policies.table)
        return 0;
    u64 next = tell_events(supervisor, now);
    return earliest(next, questions_tend(supervisor, now));
}

u32 policies_ask_ms(const struct policies *policies) {
    u32 given = slot_of(policies, policies->table->generation)->ask_timeout_ms;
    return given ? given : KW_POLICY_ASK_MS;
}
