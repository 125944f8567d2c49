/* A child that borrows its parent's memory is killed, together with its process group, in the
 * middle of changing that memory. The parent goes on or ends; it does not hang. */
#include "hostile.h"
#include <sched.h>

#define LARGE (64ul << 20)

static int reports[2];

/* Nearly all of its time is spent in mmap. */
static int borrow(void *unused) {
    setpgid(0, 0);
    pid_t own = getpid();
    MUST(write(reports[1], &own, sizeof own));
    for (;;) {
        void *memory =
            mmap(NULL, LARGE, PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        munmap(memory, LARGE);
    }
    return unused != NULL;
}

static void kill_borrower(void) {
    pid_t borrower;
    MUST(read(reports[0], &borrower, sizeof borrower));
    pause_ms(30);
    kill(-borrower, SIGKILL);
    _exit(0);
}

static void lend(int flags) {
    static char stack[64 << 10] __attribute__((aligned(16)));
    MUST(pipe(reports));
    pid_t killer = fork_flushed();
    if (!killer)
        kill_borrower();
    pid_t borrower = MUST(clone(borrow, stack + sizeof stack, CLONE_VM | flags | SIGCHLD, NULL));
    MUST(waitpid(borrower, NULL, 0));
    munmap(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 4096);
    waitpid(killer, NULL, 0);
}

static void waiting_parent(void) {
    lend(CLONE_VFORK);
}
static void running_parent(void) {
    lend(0);
}

int main(void) {
    for (int round = 0; round < 5; round++) {
        in_child("waiting parent", waiting_parent, 5);
        in_child("running parent", running_parent, 5);
    }
    survived();
    return 0;
}
