/* futex operations and their errors, raw. */
#include "check.h"
#include <linux/futex.h>
#include <pthread.h>

static volatile int word, other;
static long futex(volatile int *at, int op, unsigned value, const struct timespec *time,
                  volatile int *second, unsigned third) {
    return syscall(SYS_futex, at, op, value, time, second, third);
}
static volatile int woken;
static void *waiter(void *mask) {
    if (mask)
        futex(&word, FUTEX_WAIT_BITSET, 0, NULL, NULL, (unsigned)(long)mask);
    else
        futex(&word, FUTEX_WAIT, 0, NULL, NULL, 0);
    __sync_fetch_and_add(&woken, 1);
    return NULL;
}
/* Wakes until so many were woken; the waiters may not all wait yet. */
static int wake_all(int count, unsigned bits) {
    int total = 0;
    while (total < count)
        total += (int)(bits ? futex(&word, FUTEX_WAKE_BITSET, 100, NULL, NULL, bits)
                            : futex(&word, FUTEX_WAKE, 100, NULL, NULL, 0));
    return total;
}

static void *requeued(void *unused) {
    futex(&word, FUTEX_WAIT, 0, NULL, NULL, 0);
    __sync_fetch_and_add(&woken, 1);
    return unused;
}

int main(void) {
    struct timespec short_time = {0, 20000000}, bad = {0, 2000000000}, negative = {-1, 0};
    title("errors");
    SHOW(futex(&word, FUTEX_WAIT, 1, NULL, NULL, 0));
    SHOW(futex(&word, FUTEX_WAIT, 0, &short_time, NULL, 0));
    SHOW(futex(&word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, &short_time, NULL, 0));
    SHOW(futex(&word, FUTEX_WAIT, 0, &bad, NULL, 0));
    SHOW(futex(&word, FUTEX_WAIT, 0, &negative, NULL, 0));
    SHOW(futex((int *)((char *)&word + 1), FUTEX_WAIT, 0, NULL, NULL, 0));
    SHOW(futex(NULL, FUTEX_WAIT, 0, NULL, NULL, 0));
    SHOW(futex((int *)64, FUTEX_WAKE, 1, NULL, NULL, 0));
    SHOW(futex((int *)(1ul << 50), FUTEX_WAIT, 0, NULL, NULL, 0));
    SHOW(futex(&word, 99, 0, NULL, NULL, 0));
    SHOW(futex(&word, FUTEX_WAIT, 0, (struct timespec *)8, NULL, 0));
    SHOW(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0));
    SHOW(futex(&word, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0));
    struct timespec past = {1, 0};
    SHOW(futex(&word, FUTEX_WAIT_BITSET, 0, &past, NULL, ~0u));
    SHOW(futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &past, NULL, ~0u));
    title("waking");
    pthread_t threads[6];
    for (int i = 0; i < 6; i++)
        pthread_create(&threads[i], NULL, waiter, NULL);
    printf("woken %d\n", wake_all(6, 0));
    for (int i = 0; i < 6; i++)
        pthread_join(threads[i], NULL);
    printf("returned %d\n", woken);
    woken = 0;
    pthread_create(&threads[0], NULL, waiter, (void *)1l);
    pthread_create(&threads[1], NULL, waiter, (void *)2l);
    printf("first bit %d\n", wake_all(1, 1));
    pthread_join(threads[0], NULL);
    printf("second bit %d\n", wake_all(1, 2));
    pthread_join(threads[1], NULL);
    title("requeue");
    woken = 0;
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, requeued, NULL);
    int moved = 0, first = 0;
    while (moved + first < 4) {
        long result = syscall(SYS_futex, &word, FUTEX_CMP_REQUEUE, first ? 0 : 1, 100l, &other, 0);
        int freed = first ? 0 : result > 0;
        first += freed;
        moved += (int)result - freed;
    }
    printf("woken %d moved %d\n", first, moved);
    /* One that the kernel woke for nothing waits where it began, and not where it was moved to. */
    int last = 0;
    while (last < moved)
        last += (int)(futex(&other, FUTEX_WAKE, 100, NULL, NULL, 0) +
                      futex(&word, FUTEX_WAKE, 100, NULL, NULL, 0));
    printf("woken at last %d\n", last);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    SHOW(syscall(SYS_futex, &word, FUTEX_CMP_REQUEUE, 1, 1l, &other, 5));
    title("wake op, priority inheritance");
    word = 5;
    SHOW(syscall(SYS_futex, &other, FUTEX_WAKE_OP, 1, 1l, &word,
                 FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 5)));
    printf("word %d\n", word);
    word = 0;
    SHOW(futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    printf("owner %d\n", (word & FUTEX_TID_MASK) == gettid());
    SHOW(futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    SHOW(futex(&word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
    SHOW(futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
    SHOW(futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
    title("robust list");
    void *head;
    size_t size = 0;
    SHOW(syscall(SYS_get_robust_list, 0, &head, &size));
    printf("size %zu\n", size);
    SHOW(syscall(SYS_set_robust_list, head, 5));
    SHOW(syscall(SYS_set_robust_list, head, size));
    SHOW(syscall(SYS_get_robust_list, 1 << 21, &head, &size));
    return 0;
}
