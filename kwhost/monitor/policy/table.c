#include "policy/table.h"

#include <linux/limits.h>
#include <linux/mman.h>

#include "base/clock.h"
#include "base/own_fd.h"
#include "base/text.h"
#include "policy/learn.h"

const struct kw_policy_table *policy_table;
struct kw_policy_shared *policy_shared;

static long map(u64 size, int protection, enum own_fd fd, u64 offset) {
    return host(__NR_mmap, 0, size, protection, MAP_SHARED, own_fd(fd), offset);
}

/* The policies in it were checked by supervise, who alone can write there. */
int policy_start(const char **what) {
    *what = "the policy's table";
    long table = map(KW_POLICY_TABLE_SIZE, PROT_READ, OWN_POLICY, 0);
    if (host_failed(table))
        return (int)table;
    *what = "the policy's counters";
    long shared = map(page_up(sizeof(struct kw_policy_shared)), PROT_READ | PROT_WRITE, OWN_STATS,
                      KW_POLICY_SHARED_OFFSET);
    if (host_failed(shared))
        return (int)shared;
    *what = "the memory to learn in";
    int error = learn_start();
    if (error)
        return error;
    policy_shared = (struct kw_policy_shared *)shared;
    policy_table = (const struct kw_policy_table *)table;
    if (policy_table->magic != KW_POLICY_TABLE_MAGIC ||
        policy_table->version != KW_POLICY_VERSION || policy_table->size != KW_POLICY_TABLE_SIZE) {
        *what = "the policy's table is none";
        return -EINVAL;
    }
    *what = NULL;
    return 0;
}

/* A question may be answered either way. */
static bool permits(struct kw_policy_verdict verdict) {
    return verdict.action <= KW_POLICY_LOG;
}

struct kw_policy_verdict judge_call(u64 nr, const u64 arg[6]) {
    struct kw_policy_verdict verdict;
    struct policy_glance glance;
    do {
        glance = policy_look();
        verdict = policy_call(glance.policy, nr, arg);
    } while (!policy_holds(glance));
    if (learning() && permits(verdict))
        learn_call(nr, arg);
    return verdict;
}

/* What a verdict that does not hold took from the buckets is lost. */
struct kw_policy_verdict judge_rates(u64 nr) {
    struct kw_policy_verdict verdict;
    struct policy_glance glance;
    do {
        glance = policy_look();
        verdict = policy_rates(glance.policy, policy_shared->buckets, nr, monotonic_ns());
    } while (!policy_holds(glance));
    return verdict;
}

static struct kw_policy_verdict judge_name(const char *path, u32 access) {
    struct kw_policy_verdict verdict;
    struct policy_glance glance;
    do {
        glance = policy_look();
        verdict = policy_path(glance.policy, path, access);
    } while (!policy_holds(glance));
    if (learning() && permits(verdict))
        learn_path(path, access);
    return verdict;
}

static struct kw_policy_verdict judge_names(const char *old, const char *new, u32 access) {
    struct kw_policy_verdict verdict;
    struct policy_glance glance;
    do {
        glance = policy_look();
        verdict = policy_new_name(glance.policy, old, new, access);
    } while (!policy_holds(glance));
    if (learning() && permits(verdict))
        learn_names(old, new, access);
    return verdict;
}

/* Of a name that is gone the kernel tells so, in words that may be part of a name as well. True
 * with the name as it was. */
static bool may_be_gone(const char *path, char name[PATH_MAX]) {
    static const char gone[] = " (deleted)";
    u64 length = strlen(path), suffix = sizeof gone - 1;
    if (length <= suffix + 1 || length >= PATH_MAX || strcmp(path + length - suffix, gone))
        return false;
    memcpy(name, path, length - suffix);
    name[length - suffix] = 0;
    return true;
}

struct kw_policy_verdict judge_path(const char *path, u32 access) {
    struct kw_policy_verdict verdict = judge_name(path, access);
    char name[PATH_MAX];
    return may_be_gone(path, name) ? stricter(verdict, judge_name(name, access)) : verdict;
}

struct kw_policy_verdict judge_new_name(const char *old, const char *new, u32 access) {
    struct kw_policy_verdict verdict = judge_names(old, new, access);
    char name[PATH_MAX];
    return may_be_gone(old, name) ? stricter(verdict, judge_names(name, new, access)) : verdict;
}

bool judge_speaks_beneath(const char *path) {
    struct policy_glance glance;
    bool speaks;
    do {
        glance = policy_look();
        speaks = policy_speaks_beneath(glance.policy, path);
    } while (!policy_holds(glance));
    if (learning() && !speaks)
        learn_directory(path);
    return speaks;
}

struct kw_policy_verdict judge_network(enum kw_policy_direction direction,
                                       const struct policy_address *address) {
    struct kw_policy_verdict verdict;
    struct policy_glance glance;
    do {
        glance = policy_look();
        verdict = policy_network(glance.policy, direction, address);
    } while (!policy_holds(glance));
    return verdict;
}

/* Supervise asks for its bell before it sleeps: a flood rings it once. */
void policy_ring(void) {
    u64 one = 1;
    if (__atomic_exchange_n(&policy_shared->waiting, 0, __ATOMIC_SEQ_CST) == 1)
        host(__NR_write, own_fd(OWN_BELL), &one, sizeof one);
}

void policy_count(u32 rule, bool denied) {
    if (rule >= KW_POLICY_RULES_MAX)
        return;
    struct kw_policy_count *count = &policy_shared->counts[rule];
    __atomic_fetch_add(&count->hits, 1, __ATOMIC_RELAXED);
    if (denied)
        __atomic_fetch_add(&count->denied, 1, __ATOMIC_RELAXED);
}

void policy_tell(struct kw_policy_verdict verdict, const struct policy_caller *caller,
                 const char *text) {
    policy_count(verdict.rule, verdict_refuses(verdict));
    u64 number = __atomic_fetch_add(&policy_shared->written, 1, __ATOMIC_RELAXED);
    struct kw_policy_event *event = &policy_shared->events[number % KW_POLICY_RING];
    __atomic_store_n(&event->sequence, 0, __ATOMIC_SEQ_CST);
    event->time_ns = monotonic_ns();
    event->rule = verdict.rule;
    event->call = (u32)caller->nr;
    event->pid = (u32)caller->pid;
    event->tid = (u32)caller->tid;
    event->action = verdict.action;
    event->error = verdict.error;
    memcpy(event->arguments, caller->arg, sizeof event->arguments);
    format(event->text, sizeof event->text, "%s", text);
    __atomic_store_n(&event->sequence, number + 1, __ATOMIC_RELEASE);
    policy_ring();
}
