/* Timers over heavy computing: what a handler does never shows in the interrupted registers. */
#include "../check.h"
#include <math.h>
#include <sys/time.h>

static volatile int ticks;
static volatile double spoiled;

static void on_tick(int number) {
    (void)number;
    ticks++;
    /* Uses x87, SSE and AVX registers and changes the control words. */
    unsigned mxcsr = 0x7f80;
    unsigned short control = 0xf7f;
    __asm__ volatile("ldmxcsr %0\n\tfldcw %1" : : "m"(mxcsr), "m"(control));
    if (__builtin_cpu_supports("avx"))
        __asm__ volatile(
            "vxorps %%ymm0, %%ymm0, %%ymm0\n\tvcmptrueps %%ymm0, %%ymm0, %%ymm15\n\t"
            "vmovaps %%ymm15, %%ymm1\n\tvmovaps %%ymm15, %%ymm2\n\tvmovaps %%ymm15, %%ymm3"
            :
            :
            : "xmm0", "xmm1", "xmm2", "xmm3", "xmm15");
    spoiled = sqrt((double)ticks);
    __asm__ volatile("fldpi\n\tfldl2e\n\tfldln2");
    __asm__ volatile("std");
}

static double series(long from, long to) {
    double sum = 0;
    for (long i = from; i < to; i++)
        sum += 1.0 / ((double)i * (double)i + 1.0) * sin((double)i);
    return sum;
}

static long double exact(long to) {
    long double sum = 0;
    for (long i = 1; i < to; i++)
        sum += 1.0L / (long double)i;
    return sum;
}

static uint64_t general(long rounds) {
    uint64_t a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8;
    for (long i = 0; i < rounds; i++) {
        a = a * 6364136223846793005u + b;
        b ^= c >> 7;
        c += d ^ a;
        d = d << 5 | d >> 59;
        e += f * 3;
        f ^= g + a;
        g = g * h + 1;
        h += e ^ b;
    }
    return a ^ b ^ c ^ d ^ e ^ f ^ g ^ h;
}

/* Keeps all sixteen vector registers busy with known contents and counts differences. */
static long vectors(long rounds) {
    long wrong = 0;
    if (!__builtin_cpu_supports("avx"))
        return 0;
    uint64_t in[16][4] __attribute__((aligned(32))), out[16][4] __attribute__((aligned(32)));
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 4; j++)
            in[i][j] = (uint64_t)(i * 4 + j) * 0x9e3779b97f4a7c15u;
    for (long i = 0; i < rounds; i++) {
        __asm__ volatile("vmovaps 0(%0), %%ymm0\n\tvmovaps 32(%0), %%ymm1\n\tvmovaps 64(%0), "
                         "%%ymm2\n\tvmovaps 96(%0), %%ymm3\n\t"
                         "vmovaps 128(%0), %%ymm4\n\tvmovaps 160(%0), %%ymm5\n\tvmovaps 192(%0), "
                         "%%ymm6\n\tvmovaps 224(%0), %%ymm7\n\t"
                         "vmovaps 256(%0), %%ymm8\n\tvmovaps 288(%0), %%ymm9\n\tvmovaps 320(%0), "
                         "%%ymm10\n\tvmovaps 352(%0), %%ymm11\n\t"
                         "vmovaps 384(%0), %%ymm12\n\tvmovaps 416(%0), %%ymm13\n\tvmovaps 448(%0), "
                         "%%ymm14\n\tvmovaps 480(%0), %%ymm15\n\t"
                         "mov $300, %%eax\n1:\tdec %%eax\n\tjnz 1b\n\t"
                         "vmovaps %%ymm0, 0(%1)\n\tvmovaps %%ymm1, 32(%1)\n\tvmovaps %%ymm2, "
                         "64(%1)\n\tvmovaps %%ymm3, 96(%1)\n\t"
                         "vmovaps %%ymm4, 128(%1)\n\tvmovaps %%ymm5, 160(%1)\n\tvmovaps %%ymm6, "
                         "192(%1)\n\tvmovaps %%ymm7, 224(%1)\n\t"
                         "vmovaps %%ymm8, 256(%1)\n\tvmovaps %%ymm9, 288(%1)\n\tvmovaps %%ymm10, "
                         "320(%1)\n\tvmovaps %%ymm11, 352(%1)\n\t"
                         "vmovaps %%ymm12, 384(%1)\n\tvmovaps %%ymm13, 416(%1)\n\tvmovaps %%ymm14, "
                         "448(%1)\n\tvmovaps %%ymm15, 480(%1)\n\t"
                         "vzeroupper"
                         :
                         : "r"(in), "r"(out)
                         : "memory", "eax", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",
                           "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13",
                           "xmm14", "xmm15");
        wrong += memcmp(in, out, sizeof in) != 0;
    }
    return wrong;
}

/* System calls and faults under ticks: each must happen exactly once. */
static void calls_under_ticks(void) {
    long wrong = 0, calls = 0;
    int fd[2];
    MUST(pipe(fd));
    int before = ticks;
    while (ticks - before < 100) {
        char byte = (char)calls, back = 0;
        if (write(fd[1], &byte, 1) != 1 || read(fd[0], &back, 1) != 1 || back != byte)
            wrong++;
        if (syscall(SYS_getppid) != getppid())
            wrong++;
        calls++;
    }
    printf("calls %d wrong %ld\n", calls > 0, wrong);
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    title("computing");
    double quiet = series(1, 1000000);
    long double quiet_exact = exact(1000000);
    uint64_t quiet_general = general(1000000);
    struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
    MUST(sigaction(SIGALRM, &action, NULL));
    MUST(sigaction(SIGPROF, &action, NULL));
    MUST(sigaction(SIGVTALRM, &action, NULL));
    struct itimerval often = {{0, 1000}, {0, 1000}}, off = {{0, 0}, {0, 0}};
    MUST(setitimer(ITIMER_REAL, &often, NULL));
    long differences = 0;
    for (int i = 0; i < 5 || ticks < 60; i++) {
        differences += series(1, 1000000) != quiet;
        differences += exact(1000000) != quiet_exact;
        differences += general(1000000) != quiet_general;
    }
    printf("differences %ld\n", differences);
    printf("vectors wrong %ld\n", vectors(100000));
    IS(ticks > 50);
    calls_under_ticks();
    MUST(setitimer(ITIMER_REAL, &off, NULL));
    title("other clocks");
    ticks = 0;
    MUST(setitimer(ITIMER_VIRTUAL, &often, NULL));
    while (ticks < 3)
        spoiled = series(1, 1000);
    MUST(setitimer(ITIMER_VIRTUAL, &off, NULL));
    ticks = 0;
    MUST(setitimer(ITIMER_PROF, &often, NULL));
    while (ticks < 3)
        spoiled = series(1, 1000);
    MUST(setitimer(ITIMER_PROF, &off, NULL));
    printf("virtual and prof\n");
    title("alarm and sleep");
    alarm(1);
    int64_t began = now_ms();
    unsigned left = sleep(5);
    int64_t took = now_ms() - began;
    printf("left %d in time %d\n", left == 3 || left == 4, took >= 990 && took < 1500);
    title("timer_create");
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    MUST(timer_create(CLOCK_MONOTONIC, &event, &timer));
    struct itimerspec soon = {{0, 2000000}, {0, 2000000}};
    ticks = 0;
    MUST(timer_settime(timer, 0, &soon, NULL));
    while (ticks < 5)
        pause();
    SHOW(timer_delete(timer));
    return 0;
}
