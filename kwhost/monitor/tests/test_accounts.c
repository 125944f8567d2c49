/* link: base/accounts.c */
/* Real processes share accounts and end in every way, and the counts stay exact. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/accounts.h"
#include "check.h"

#define LIMIT 10
#define MEMORY 1000

static struct accounts *shared;
static u32 own;

static void begin(u64 tasks, u64 memory) {
    struct account_limits limits = {tasks, memory};
    memset(shared, 0, sizeof *shared);
    own = (u32)accounts_start(shared, &limits, (u32)getpid());
}

/* As the monitor forks. The child runs `in_child` and ends without any order. */
static pid_t fork_guest(void (*in_child)(u32 account, u64 bytes), u64 bytes) {
    long account = account_reserve((u32)gettid());
    if (account < 0)
        return (pid_t)account;
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        u32 taken = account_take((u32)account, (u32)getpid());
        account_forked(taken, bytes);
        in_child(taken, bytes);
        _exit(0);
    }
    account_assign((u32)account, (u32)gettid(), (u32)child);
    return child;
}

static void wait_for_end(u32 account, u64 bytes) {
    (void)account;
    (void)bytes;
    pause();
}

static void kill_and_wait(pid_t child) {
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static void test_nothing_is_limited(void) {
    struct account_limits none = {0, 0};
    CHECK_EQUAL(0, accounts_start(shared, &none, (u32)getpid()));
    CHECK_EQUAL(0, account_reserve((u32)gettid()));
    CHECK(account_add_thread(0));
    account_remove_thread(0);
    CHECK(account_may_grow(0, ~0ul));
    account_memory(5);
    account_end(0);
}

static void test_processes_are_counted_exactly(void) {
    pid_t children[LIMIT];
    int count = 0;
    begin(LIMIT, 0);
    while (count < LIMIT && (children[count] = fork_guest(wait_for_end, 0)) > 0)
        count++;
    CHECK_EQUAL(LIMIT - 1, count);
    CHECK_EQUAL(-EAGAIN, fork_guest(wait_for_end, 0));
    CHECK(!account_add_thread(own));
    kill_and_wait(children[--count]);
    CHECK(account_add_thread(own));
    CHECK_EQUAL(-EAGAIN, account_reserve((u32)gettid()));
    account_remove_thread(own);
    long account = account_reserve((u32)gettid());
    CHECK(account > 0);
    account_release((u32)account);
    CHECK(account_add_thread(own));
    account_remove_thread(own);
    while (count)
        kill_and_wait(children[--count]);
}

static void end_in_order(u32 account, u64 bytes) {
    (void)bytes;
    account_end(account);
}

static void test_a_process_counts_until_it_is_waited_for(void) {
    pid_t child;
    siginfo_t info;
    begin(2, 0);
    child = fork_guest(end_in_order, 0);
    waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT);
    CHECK_EQUAL(-EAGAIN, account_reserve((u32)gettid()));
    waitpid(child, NULL, 0);
    CHECK(account_reserve((u32)gettid()) >= 0);
}

static void *reserve_and_end(void *result) {
    *(long *)result = account_reserve((u32)gettid());
    return NULL;
}

static void test_what_an_ended_thread_reserved_comes_back(void) {
    pthread_t thread;
    long result = -1;
    begin(2, 0);
    pthread_create(&thread, NULL, reserve_and_end, &result);
    pthread_join(thread, NULL);
    CHECK(result >= 0);
    while (syscall(SYS_tkill, shared->accounts[result].owner & 0x3fffff, 0) == 0)
        ; /* the join comes a moment before the thread is gone */
    CHECK(account_reserve((u32)gettid()) >= 0);
}

static void test_memory_is_counted_exactly(void) {
    begin(0, MEMORY);
    CHECK(account_may_grow(0, MEMORY));
    account_memory(MEMORY);
    CHECK(!account_may_grow(MEMORY, 1));
    CHECK(account_may_grow(MEMORY, 0));
    account_memory(MEMORY - 100);
    CHECK(account_may_grow(MEMORY - 100, 100));
    CHECK(!account_may_grow(MEMORY - 100, 101));
    account_memory(0);
    CHECK(account_may_grow(0, MEMORY));
}

static int failed_in_child(pid_t child) {
    int status;
    waitpid(child, &status, 0);
    return status;
}

static void grow_by_a_tenth(u32 account, u64 bytes) {
    (void)account;
    if (!account_may_grow(bytes, MEMORY / 10))
        _exit(1);
    account_memory(bytes + MEMORY / 10);
    if (account_may_grow(bytes + MEMORY / 10, 1))
        _exit(2);
    account_memory(10); /* less than it inherited */
    if (!account_may_grow(10, MEMORY / 10) || account_may_grow(10, MEMORY / 10 + 1))
        _exit(3);
}

static void test_an_unwritten_fork_counts_once(void) {
    begin(0, MEMORY);
    account_memory(MEMORY * 9 / 10);
    CHECK_EQUAL(0, failed_in_child(fork_guest(grow_by_a_tenth, MEMORY * 9 / 10)));
    CHECK(account_may_grow(MEMORY * 9 / 10, MEMORY / 10));
}

static u32 *parent_shrank; /* shared, too */

static void grow_once_alone(u32 account, u64 bytes) {
    (void)account;
    while (!__atomic_load_n(parent_shrank, __ATOMIC_ACQUIRE))
        ;
    if (account_may_grow(bytes, 401) || !account_may_grow(bytes, 400))
        _exit(1);
    account_memory(bytes + 400);
    pause();
}

static void test_inherited_memory_counts_as_far_as_the_origin_has_it_no_more(void) {
    siginfo_t info;
    begin(0, MEMORY);
    parent_shrank = &shared->accounts[ACCOUNTS_MOST - 1].reserved;
    account_memory(600);
    pid_t child = fork_guest(grow_once_alone, 600);
    account_memory(200); /* the child alone has 400 of them now */
    __atomic_store_n(parent_shrank, 1, __ATOMIC_RELEASE);
    while (__atomic_load_n(&shared->accounts[1].bytes, __ATOMIC_ACQUIRE) != 400)
        if (waitpid(child, NULL, WNOHANG))
            break;
    CHECK(!account_may_grow(200, MEMORY));
    kill(child, SIGKILL);
    waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT);
    CHECK(account_may_grow(200, 800)); /* before anyone waited for it */
    CHECK_EQUAL(child, waitpid(child, NULL, 0));
}

static void test_a_new_program_begins_anew(void) {
    struct account_limits limits = {LIMIT, MEMORY};
    begin(LIMIT, MEMORY);
    account_memory(MEMORY);
    account_add_thread(own);
    CHECK_EQUAL(own, accounts_start(shared, &limits, (u32)getpid()));
    CHECK(account_may_grow(0, MEMORY));
    CHECK_EQUAL(1, shared->accounts[own].tasks);
}

static void test_whatever_stands_there_is_harmless(void) {
    begin(LIMIT, MEMORY);
    u8 *bytes = (u8 *)&shared->accounts[1];
    srand(1);
    shared->used = ~0u;
    for (int i = 0; i < 100000; i++)
        bytes[i] = (u8)rand();
    account_may_grow(0, 1);
    account_reserve((u32)gettid());
    account_add_thread(own);
    account_end(own);
    account_memory(7);
    account_add_thread(~0u);
    account_release(ACCOUNTS_MOST);
}

int main(void) {
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    test_nothing_is_limited();
    test_processes_are_counted_exactly();
    test_a_process_counts_until_it_is_waited_for();
    test_what_an_ended_thread_reserved_comes_back();
    test_memory_is_counted_exactly();
    test_an_unwritten_fork_counts_once();
    test_inherited_memory_counts_as_far_as_the_origin_has_it_no_more();
    test_a_new_program_begins_anew();
    test_whatever_stands_there_is_harmless();
    return check_done();
}
