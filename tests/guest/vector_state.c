/* Floating point and vector registers across system calls, faults, signals, fork and threads. */
#include "check.h"
#include <fenv.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <ucontext.h>

typedef long wide __attribute__((vector_size(32)));

/* Fills the sixteen registers from `in`, makes the call, reads them back. */
__attribute__((target("avx"), noinline)) static long with_registers(const wide *in, wide *out,
                                                                    long number, long a, long b) {
    long result;
    __asm__ volatile("vmovdqu 0(%3), %%ymm0\nvmovdqu 32(%3), %%ymm1\nvmovdqu 64(%3), "
                     "%%ymm2\nvmovdqu 96(%3), %%ymm3\n"
                     "vmovdqu 128(%3), %%ymm4\nvmovdqu 160(%3), %%ymm5\nvmovdqu 192(%3), "
                     "%%ymm6\nvmovdqu 224(%3), %%ymm7\n"
                     "vmovdqu 256(%3), %%ymm12\nvmovdqu 288(%3), %%ymm15\n"
                     "syscall\n"
                     "vmovdqu %%ymm0, 0(%4)\nvmovdqu %%ymm1, 32(%4)\nvmovdqu %%ymm2, "
                     "64(%4)\nvmovdqu %%ymm3, 96(%4)\n"
                     "vmovdqu %%ymm4, 128(%4)\nvmovdqu %%ymm5, 160(%4)\nvmovdqu %%ymm6, "
                     "192(%4)\nvmovdqu %%ymm7, 224(%4)\n"
                     "vmovdqu %%ymm12, 256(%4)\nvmovdqu %%ymm15, 288(%4)\nvzeroupper\n"
                     : "=a"(result)
                     : "0"(number), "D"(a), "r"(in), "r"(out), "S"(b)
                     : "rcx", "r11", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",
                       "xmm6", "xmm7", "xmm12", "xmm15");
    return result;
}

static volatile int handled;
__attribute__((target("avx"))) static void on_signal(int signal) {
    (void)signal;
    __asm__ volatile("vxorps %%ymm0, %%ymm0, %%ymm0\nvxorps %%ymm15, %%ymm15, %%ymm15\nvzeroall" ::
                         : "xmm0", "xmm15");
    handled++;
}

static void fill(wide *at, long seed) {
    for (int i = 0; i < 10; i++)
        at[i] = (wide){seed + i, seed * 3 + i, seed * 5 + i, seed * 7 + i};
}
static void try(const char *name, long seed, long number, long a, long b) {
    wide in[10], out[10];
    fill(in, seed);
    memset(out, 0, sizeof out);
    long result = with_registers(in, out, number, a, b);
    if (number == SYS_fork && result == 0)
        _exit(memcmp(in, out, sizeof in) == 0);
    printf("%s: %s\n", name, memcmp(in, out, sizeof in) == 0 ? "kept" : "LOST");
    if (number == SYS_fork) {
        int status;
        waitpid((pid_t)result, &status, 0);
        printf("in the child: %s\n", WEXITSTATUS(status) ? "kept" : "LOST");
    }
}

static void *in_thread(void *seed) {
    wide in[10], out[10];
    int lost = 0;
    for (int i = 0; i < 300; i++) {
        fill(in, (long)seed + i);
        with_registers(in, out, i % 3 ? SYS_sched_yield : SYS_getppid, 0, 0);
        lost += memcmp(in, out, sizeof in) != 0;
    }
    return (void *)(long)lost;
}

static void avx(void) {
    title("AVX");
    if (!__builtin_cpu_supports("avx")) {
        printf("not here\n");
        return;
    }
    signal(SIGUSR1, on_signal);
    try("getppid", 11, SYS_getppid, 0, 0);
    try("kill self", 12, SYS_kill, getpid(), SIGUSR1);
    try("sched_yield", 13, SYS_sched_yield, 0, 0);
    fflush(stdout);
    try("fork", 14, SYS_fork, 0, 0);
    printf("handled %d\n", handled);
    pthread_t threads[4];
    long lost = 0;
    for (long i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, in_thread, (void *)(i * 1000));
    for (int i = 0; i < 4; i++) {
        void *result;
        pthread_join(threads[i], &result);
        lost += (long)result;
    }
    printf("lost in threads %ld\n", lost);
}

static sigjmp_buf back;
static int fpe_code;
static void on_fpe(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    fpe_code = info->si_code;
    siglongjmp(back, 1);
}
static void exceptions(void) {
    title("floating point exceptions");
    struct sigaction action = {.sa_sigaction = on_fpe, .sa_flags = SA_SIGINFO};
    sigaction(SIGFPE, &action, NULL);
    volatile double zero = 0, one = 1, huge = 1e308;
    int which[] = {FE_DIVBYZERO, FE_INVALID, FE_OVERFLOW};
    for (int i = 0; i < 3; i++) {
        fenv_t saved;
        fegetenv(&saved);
        feclearexcept(FE_ALL_EXCEPT);
        if (!sigsetjmp(back, 1)) {
            feenableexcept(which[i]);
            volatile double result = i == 0 ? one / zero : i == 1 ? zero / zero : huge * huge;
            printf("no trap %f\n", result);
        } else {
            printf("trap %d code %d\n", i, fpe_code);
        }
        fesetenv(&saved);
    }
    volatile long double long_zero = 0, long_one = 1;
    if (!sigsetjmp(back, 1)) {
        feenableexcept(FE_DIVBYZERO);
        volatile long double result = long_one / long_zero;
        __asm__ volatile("fwait");
        printf("no trap %Lf\n", result);
    } else {
        printf("x87 trap code %d\n", fpe_code);
    }
    fesetenv(FE_DFL_ENV);
}

static void rounding(void) {
    title("control words");
    fesetround(FE_UPWARD);
    raise(0);
    getppid();
    printf("rounding kept %d\n", fegetround() == FE_UPWARD);
    pid_t child = fork_flushed();
    if (!child)
        leave_child(fegetround() == FE_UPWARD ? 1 : 2);
    reap("in the child", child);
    fesetround(FE_TONEAREST);
    volatile double x = 2;
    printf("%.17g %.17g %.17g\n", sqrt(x), x / 3, (double)((long double)x / 3));
}

static jmp_buf plain;
static int depth(int left) {
    if (left == 0)
        longjmp(plain, 42);
    return depth(left - 1) + 1;
}
int main(void) {
    avx();
    exceptions();
    rounding();
    title("longjmp");
    int result = setjmp(plain);
    if (!result)
        result = depth(1000);
    printf("%d\n", result);
    ucontext_t here;
    static volatile int again;
    getcontext(&here);
    if (again++ < 3)
        setcontext(&here);
    printf("contexts %d\n", again);
    return 0;
}
