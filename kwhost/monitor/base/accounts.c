/* Every change of an account's owner is one atomic step, so that whoever is killed in between
 * leaves no more than an account of a process that is gone. All values may be a hostile monitor's.
 */
#include "base/accounts.h"

#include <asm/poll.h>
#include <linux/poll.h>

#include "base/host.h"
#include "base/text.h"

/* Flags beside the id in `owner`. */
#define ENDED (1u << 31)    /* waits to be waited for: one task, no memory */
#define RESERVED (1u << 30) /* the id is the thread's that makes the process */
#define CLAIMING (1u << 29) /* likewise; the account is not filled in yet */
#define ID(owner) ((owner) & ~(ENDED | RESERVED | CLAIMING))

#define NONE (~0u)
#define BYTES_MOST (1ul << 48)

static struct accounts *accounts; /* NULL: nothing is limited */
static struct account_limits limits;

/* The address space's own, shared by a process and those that borrow its memory. */
static struct {
    u32 account; /* charged with it; NONE: its process has ended, or it has no account */
    u32 number;
    u64 inherited;
} memory = {.account = NONE};

#define load(field) __atomic_load_n(&(field), __ATOMIC_ACQUIRE)
#define store(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELEASE)

static bool change_owner(struct account *account, u32 from, u32 to) {
    return __atomic_compare_exchange_n(&account->owner, &from, to, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_RELAXED);
}

static u32 used(void) {
    return (u32)min_u64(load(accounts->used), ACCOUNTS_MOST);
}

/* The account at a number that may be anything. */
static struct account *at(u32 number) {
    return accounts && number < ACCOUNTS_MOST ? &accounts->accounts[number] : NULL;
}

struct account_limits accounts_limits(void) {
    return limits;
}

/* What a process inherited, as far as it does not count with its parent's memory. */
static u64 inherited_alone(const struct account *account) {
    u64 inherited = min_u64(load(account->inherited), BYTES_MOST);
    const struct account *origin = at(load(account->origin));
    u32 number = load(account->origin_memory), owner = origin ? load(origin->owner) : 0;
    if (!inherited || !number || !owner || (owner & ENDED) || load(origin->memory) != number)
        return inherited;
    u64 shared = min_u64(load(origin->bytes), BYTES_MOST);
    shared += min_u64(load(origin->inherited), BYTES_MOST);
    return inherited - min_u64(inherited, shared);
}

static struct account_limits sum(void) {
    struct account_limits total = {0, 0};
    for (u32 i = 0, count = used(); i < count; i++) {
        const struct account *account = &accounts->accounts[i];
        u32 owner = load(account->owner);
        if (!owner || (owner & CLAIMING))
            continue;
        total.tasks += owner & ENDED ? 1 : load(account->tasks);
        if (owner & ENDED)
            continue;
        total.memory += min_u64(load(account->bytes), BYTES_MOST) + inherited_alone(account);
    }
    return total;
}

enum life { LIVES, HAS_ENDED, IS_GONE };

/* By a pidfd, which has a low number for a moment: other threads may see it there, no more. */
static enum life life_of(u32 owner) {
    if (owner & (RESERVED | CLAIMING))
        return host(__NR_tkill, ID(owner), 0) == -ESRCH ? IS_GONE : LIVES;
    long pidfd = host(__NR_pidfd_open, ID(owner), 0);
    if (pidfd == -ESRCH || pidfd == -EINVAL || pidfd == -ENOENT)
        return IS_GONE; /* the number is nobody's, or by now a thread's */
    if (pidfd < 0)
        return LIVES; /* it cannot be told */
    struct pollfd end = {.fd = (int)pidfd, .events = POLLIN};
    host(__NR_poll, &end, 1, 0);
    host(__NR_close, pidfd);
    return end.revents & POLLIN ? HAS_ENDED : LIVES;
}

/* Closes the accounts of processes that are gone. */
static void sweep(void) {
    for (u32 i = 0, count = used(); i < count; i++) {
        struct account *account = &accounts->accounts[i];
        u32 owner = load(account->owner);
        if (!owner)
            continue;
        switch (life_of(owner)) {
        case IS_GONE:
            change_owner(account, owner, 0);
            break;
        case HAS_ENDED:
            change_owner(account, owner, limits.tasks ? ID(owner) | ENDED : 0);
            break;
        case LIVES:
        default:
            break;
        }
    }
}

static bool tasks_fit(void) {
    return !limits.tasks || sum().tasks <= limits.tasks;
}

static bool memory_fits(void) {
    return sum().memory <= limits.memory;
}

static bool claim(u32 tid, u32 *number) {
    for (u32 i = 0; i < ACCOUNTS_MOST; i++) {
        struct account *account = &accounts->accounts[i];
        if (load(account->owner) || !change_owner(account, 0, tid | CLAIMING))
            continue;
        u32 seen = load(accounts->used);
        while (seen <= i && !__atomic_compare_exchange_n(&accounts->used, &seen, i + 1, false,
                                                         __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            ;
        store(account->tasks, 1);
        store(account->memory, 0);
        store(account->origin_memory, 0);
        store(account->bytes, 0);
        store(account->inherited, 0);
        change_owner(account, tid | CLAIMING, tid | RESERVED);
        *number = i;
        return true;
    }
    return false;
}

long account_reserve(u32 tid) {
    u32 number;
    if (!accounts)
        return 0;
    if (!claim(tid, &number)) {
        sweep();
        if (!claim(tid, &number))
            return -EAGAIN;
    }
    if (tasks_fit())
        return number;
    sweep();
    if (tasks_fit())
        return number;
    account_release(number);
    return -EAGAIN;
}

void account_release(u32 number) {
    struct account *account = at(number);
    if (account)
        store(account->owner, 0);
}

/* Accounts of earlier processes that had the same number. */
static void close_namesakes(u32 pid, u32 kept) {
    for (u32 i = 0, count = used(); i < count; i++) {
        u32 owner = load(accounts->accounts[i].owner);
        if (i != kept && owner && !(owner & (RESERVED | CLAIMING)) && ID(owner) == pid)
            change_owner(&accounts->accounts[i], owner, 0);
    }
}

void account_assign(u32 number, u32 tid, u32 pid) {
    struct account *account = at(number);
    if (account)
        change_owner(account, tid | RESERVED, pid);
}

u32 account_take(u32 number, u32 pid) {
    struct account *account = at(number);
    if (!account)
        return NONE;
    u32 owner = load(account->owner);
    if (owner & RESERVED)
        change_owner(account, owner, pid);
    if (load(account->owner) != pid) { /* closed, because its parent was killed just now */
        if (!claim(pid, &number))
            return NONE;
        account_assign(number, pid, pid);
    }
    close_namesakes(pid, number);
    return number;
}

/* Memory that is charged to the account from now on. */
static void begin_memory(u32 number) {
    struct account *account = at(number);
    memory.account = number;
    memory.number = __atomic_add_fetch(&accounts->last_memory, 1, __ATOMIC_RELAXED);
    if (!memory.number) /* 0 is none */
        memory.number = __atomic_add_fetch(&accounts->last_memory, 1, __ATOMIC_RELAXED);
    store(account->bytes, 0);
    store(account->inherited, memory.inherited);
    store(account->memory, memory.number);
}

void account_forked(u32 number, u64 bytes) {
    struct account *account = at(number);
    if (!account)
        return;
    store(account->origin, memory.account);
    store(account->origin_memory, memory.number);
    memory.inherited = bytes;
    begin_memory(number);
}

static long find(u32 pid) {
    for (u32 i = 0, count = used(); i < count; i++)
        if (load(accounts->accounts[i].owner) == pid)
            return i;
    return -ESRCH;
}

long accounts_start(struct accounts *shared, const struct account_limits *set, u32 pid) {
    if (!shared || (!set->tasks && !set->memory))
        return 0;
    accounts = shared;
    limits = *set;
    long number = find(pid);
    if (number < 0) {
        number = account_reserve(pid);
        if (number < 0)
            return number;
        number = account_take((u32)number, pid);
    }
    store(at((u32)number)->tasks, 1);
    begin_memory((u32)number);
    return number;
}

bool account_add_thread(u32 number) {
    struct account *account = at(number);
    if (!account)
        return true;
    __atomic_fetch_add(&account->tasks, 1, __ATOMIC_ACQ_REL);
    if (tasks_fit())
        return true;
    sweep();
    if (tasks_fit())
        return true;
    account_remove_thread(number);
    return false;
}

void account_remove_thread(u32 number) {
    struct account *account = at(number);
    if (account)
        __atomic_fetch_sub(&account->tasks, 1, __ATOMIC_ACQ_REL);
}

void account_end(u32 number) {
    struct account *account = at(number);
    if (!account)
        return;
    if (memory.account == number) /* whoever still borrows it charges it to itself */
        memory.account = NONE;
    u32 owner = load(account->owner);
    change_owner(account, owner, limits.tasks ? ID(owner) | ENDED : 0);
}

/* The account that this memory is charged to: of the process that it began with, or of one that
 * borrowed it and outlives that. */
static struct account *charged(void) {
    struct account *account = at(memory.account);
    u32 owner = account ? load(account->owner) : 0;
    if (owner && !(owner & ENDED) && load(account->memory) == memory.number)
        return account;
    long own = find((u32)host(__NR_getpid));
    if (own < 0)
        return NULL;
    store(at((u32)own)->origin_memory, 0);
    begin_memory((u32)own);
    return at((u32)own);
}

static void publish(u64 bytes) {
    struct account *account = charged();
    if (!account)
        return;
    if (bytes < memory.inherited) {
        memory.inherited = bytes;
        store(account->inherited, bytes);
    }
    store(account->bytes, bytes - memory.inherited);
}

bool account_may_grow(u64 bytes, u64 more) {
    if (likely(!limits.memory) || !more)
        return true;
    publish(bytes + more);
    if (memory_fits())
        return true;
    sweep();
    if (memory_fits())
        return true;
    publish(bytes);
    return false;
}

void account_memory(u64 bytes) {
    if (unlikely(limits.memory))
        publish(bytes);
}
