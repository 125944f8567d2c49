/* Many threads fault at once, again and again, while another one computes: each learns its own
 * address. */
#include "check.h"
#include <pthread.h>
#include <setjmp.h>

#define PAGE 4096ul
#define FAULTERS 4
#define ROUNDS 1500

static __thread sigjmp_buf back;
static __thread char *wanted;
static volatile int finished, wrong;

static void on_fault(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    if (info->si_addr != wanted || info->si_code != SEGV_ACCERR)
        wrong = 1;
    siglongjmp(back, 1);
}

static void *compute(void *unused) {
    volatile unsigned long steps = 0;
    while (!finished)
        steps++;
    return unused;
}

static void *fault(void *unused) {
    for (int i = 0; i < ROUNDS; i++) {
        wanted = MUST(mmap(NULL, 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        if (!sigsetjmp(back, 1)) {
            *(volatile char *)wanted = 1;
            wrong = 1;
        }
        MUST(munmap(wanted, 2 * PAGE));
    }
    return unused;
}

int main(void) {
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    pthread_t computing, faulting[FAULTERS];
    pthread_create(&computing, NULL, compute, NULL);
    for (int i = 0; i < FAULTERS; i++)
        pthread_create(&faulting[i], NULL, fault, NULL);
    for (int i = 0; i < FAULTERS; i++)
        pthread_join(faulting[i], NULL);
    finished = 1;
    pthread_join(computing, NULL);
    SHOW(wrong);
    return 0;
}
