/* calls COUNT: one cheap system call, many times. */
#include <sys/syscall.h>
#include <unistd.h>

#include "measure.h"

int main(int argc, char **argv) {
    long count = argument(argc, argv, 1);
    for (int i = 0; i < 100; i++)
        syscall(SYS_getppid);
    uint64_t start = now_ns();
    for (long i = 0; i < count; i++)
        syscall(SYS_getppid);
    tell("ns_per_call", (double)(now_ns() - start) / (double)count);
    return 0;
}
