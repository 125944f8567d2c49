/* calls COUNT [filtered]: one cheap system call, many times; the median of pieces of 100.
 * `filtered`: behind a seccomp filter that allows everything. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "measure.h"

#define PIECE 100

static void set_filter(void) {
    struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {1, code};
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
    must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0, "seccomp");
}

int main(int argc, char **argv) {
    long count = argument(argc, argv, 1);
    if (argc > 2)
        set_filter();
    for (int i = 0; i < 100; i++)
        syscall(SYS_getppid);
    struct pieces pieces = pieces_for((size_t)count / PIECE);
    for (long done = 0; done < count; done += PIECE) {
        uint64_t start = now_ns();
        for (int i = 0; i < PIECE; i++)
            syscall(SYS_getppid);
        piece_add(&pieces, now_ns() - start);
    }
    tell("ns_per_call", piece_at(&pieces, 0.5) / PIECE);
    return 0;
}
