/* What Go, V8 and Java demand: huge reservations, hints, MAP_FIXED_NOREPLACE, parts made usable
 * later. */
#include "check.h"
#include <pthread.h>
#include <ucontext.h>

#define PAGE 4096ul
#define GIB (1ul << 30)
#define LAZY (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)
#define RW (PROT_READ | PROT_WRITE)

static void arenas(void) {
    title("Go's arenas");
    for (unsigned long i = 0; i < 4; i++) {
        char *hint = (char *)(i << 40 | 0xc0ul << 32);
        char *at = mmap(hint, 64 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        printf("arena %lu at its hint %d\n", i, at == hint);
        char *usable = mmap(at, 4 << 20, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        printf("usable %d\n", usable == at);
        for (size_t k = 0; k < 4 << 20; k += 65536)
            at[k] = (char)k;
        MUST(madvise(at, 1 << 20, MADV_DONTNEED));
        printf("zero %d kept %d\n", at[65536 * 3],
               at[(1 << 20) + 65536] == (char)((1 << 20) + 65536));
        MUST(mprotect(at + (8 << 20), 2 << 20, RW));
        at[(10 << 20) - 1] = 1;
        MUST(munmap(at, 64 << 20));
    }
}

static void reservations(void) {
    title("reservations");
    char *cage = MUST(mmap(NULL, 1024 * GIB, PROT_NONE, LAZY, -1, 0));
    char *second = MUST(mmap(NULL, 4096 * GIB, PROT_NONE, LAZY, -1, 0));
    long sum = 0;
    for (int i = 0; i < 64; i++) {
        char *part = cage + (size_t)i * 15 * GIB + i * PAGE;
        MUST(mprotect(part, PAGE, RW));
        part[i] = (char)i;
        sum += part[i];
    }
    printf("sum %ld\n", sum);
    int placed = 0;
    for (int i = 0; i < 16; i++) {
        char *part = second + (size_t)i * 200 * GIB;
        placed += mmap(part, 3 * PAGE, RW, LAZY | MAP_FIXED, -1, 0) == part;
        part[2 * PAGE] = 3;
    }
    printf("placed %d\n", placed);
    SHOW(mmap(second, PAGE, RW, LAZY | MAP_FIXED_NOREPLACE, -1, 0));
    SHOW(munmap(second, 4096 * GIB));
    SHOW(mmap(second, PAGE, RW, LAZY | MAP_FIXED_NOREPLACE, -1, 0) == second);
    SHOW(munmap(cage, 1024 * GIB));
    int rounds = 0;
    for (int i = 0; i < 200; i++) {
        char *at = mmap(NULL, 16 * GIB, PROT_NONE, LAZY, -1, 0);
        if (at == MAP_FAILED || mprotect(at + 8 * GIB, 1 << 20, RW) != 0)
            break;
        at[8 * GIB + 77] = 1;
        munmap(at, 16 * GIB);
        rounds++;
    }
    printf("made and given back %d times\n", rounds);
}

static void aligned(void) {
    title("alignment by trimming");
    int good = 0;
    for (int i = 0; i < 50; i++) {
        size_t size = 4 << 20;
        char *raw = MUST(mmap(NULL, 2 * size, PROT_NONE, LAZY, -1, 0));
        char *at = (char *)(((uintptr_t)raw + size - 1) & ~(size - 1));
        if (at > raw)
            MUST(munmap(raw, (size_t)(at - raw)));
        MUST(munmap(at + size, (size_t)(raw + size - at)));
        MUST(mprotect(at, size, RW));
        at[0] = at[size - 1] = 1;
        good += ((uintptr_t)at & (size - 1)) == 0;
    }
    printf("aligned %d\n", good);
}

/* SIGURG pre-emption: a thread in a tight loop is interrupted on its alternate stack. */
static volatile int interruptions, finished;
static void on_urgent(int signal, siginfo_t *info, void *context) {
    char here;
    stack_t now;
    (void)signal, (void)info, (void)context;
    sigaltstack(NULL, &now);
    if (&here >= (char *)now.ss_sp && &here < (char *)now.ss_sp + now.ss_size)
        interruptions++;
}
static void *spin(void *unused) {
    static char space[64 << 10];
    stack_t stack = {.ss_sp = space, .ss_size = sizeof space};
    (void)unused;
    sigaltstack(&stack, NULL);
    while (!finished)
        ;
    return NULL;
}
static void preemption(void) {
    title("pre-emption");
    struct sigaction action = {.sa_sigaction = on_urgent,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    sigfillset(&action.sa_mask);
    sigaction(SIGURG, &action, NULL);
    pthread_t thread;
    pthread_create(&thread, NULL, spin, NULL);
    int64_t end = now_ms() + 10000;
    while (interruptions < 100 && now_ms() < end) {
        pthread_kill(thread, SIGURG);
        pause_ms(1);
    }
    finished = 1;
    pthread_join(thread, NULL);
    printf("interrupted often enough %d\n", interruptions >= 100);
}

int main(void) {
    arenas();
    reservations();
    aligned();
    preemption();
    return 0;
}
