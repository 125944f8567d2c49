/* What a program sees of the limits that the monitors keep: `limits pids N` under a limit of N
 * processes and threads, `limits memory N` under one of N bytes. Prints "all held" at the end. */
#include "check.h"
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <sys/prctl.h>

#define MIB (1ul << 20)

extern char **environ;

static long start_child(void) {
    fflush(stdout);
    long child = fork();
    if (!child)
        for (;;)
            pause();
    return child;
}

static void end_child(long child) {
    MUST(kill((pid_t)child, SIGKILL));
    MUST(waitpid((pid_t)child, NULL, 0));
}

static void expect(bool held, const char *what) {
    if (!held) {
        printf("FAILED: %s (%s)\n", what, error_name(errno));
        _exit(1);
    }
}

/* Starts children until it is refused: how many there are. */
static int fill(pid_t *children, int most) {
    int count = 0;
    long child = 0;
    while (count < most && (child = start_child()) > 0)
        children[count++] = (pid_t)child;
    expect(child < 0 && errno == EAGAIN, "a process too many is refused with EAGAIN");
    return count;
}

static void *wait_for_lock(void *lock) {
    pthread_mutex_lock(lock);
    pthread_mutex_unlock(lock);
    return NULL;
}

static int borrow(void *unused) {
    _exit(unused != NULL);
}

static void check_other_ways(void) {
    static char stack[64 << 10] __attribute__((aligned(16)));
    pthread_t thread;
    pid_t spawned;
    char *arguments[] = {"/bin/true", NULL};
    expect(pthread_create(&thread, NULL, wait_for_lock, NULL) == EAGAIN, "no thread either");
    expect(clone(borrow, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL) < 0 &&
               errno == EAGAIN,
           "nor a borrower");
    expect(posix_spawn(&spawned, arguments[0], NULL, NULL, arguments, environ) == EAGAIN,
           "nor a spawned program");
}

/* A process that makes no orderly end: it is killed with its group. */
static void check_killed_group(int limit) {
    pid_t children[512];
    pid_t leader = fork();
    if (!leader) {
        setpgid(0, 0);
        fill(children, limit);
        raise(SIGSTOP);
    }
    MUST(waitpid(leader, NULL, WUNTRACED));
    expect(start_child() < 0, "the group fills the limit");
    MUST(prctl(PR_SET_CHILD_SUBREAPER, 1));
    MUST(kill(-leader, SIGKILL));
    while (waitpid(-1, NULL, 0) > 0)
        ;
    int count = fill(children, limit);
    expect(count == limit - 1, "a killed group's share comes back");
    while (count)
        end_child(children[--count]);
}

static void check_zombies(int limit) {
    int count = 0;
    pid_t child;
    while ((child = fork()) > 0)
        count++;
    if (!child)
        _exit(0);
    expect(errno == EAGAIN && count == limit - 1, "processes that nobody waited for count");
    while (wait(NULL) > 0)
        ;
}

static void check_pids(int limit) {
    pid_t children[512];
    int count = fill(children, limit);
    expect(count == limit - 1, "the limit is exact");
    check_other_ways();
    end_child(children[--count]);
    pthread_t thread;
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    expect(!pthread_create(&thread, NULL, wait_for_lock, &lock), "a thread takes the free place");
    expect(start_child() < 0 && errno == EAGAIN, "and counts");
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
    long last = start_child();
    expect(last > 0, "an ended thread's place is free");
    end_child(last);
    while (count)
        end_child(children[--count]);
    check_killed_group(limit);
    check_zombies(limit);
    for (int i = 0; i < 4 * limit; i++) {
        pid_t child;
        char *arguments[] = {"/bin/true", NULL};
        expect(!posix_spawn(&child, arguments[0], NULL, NULL, arguments, environ),
               "programs one after the other");
        waitpid(child, NULL, 0);
    }
}

static void *map(size_t size, int prot) {
    return mmap(NULL, size, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* Mappings of one MiB until it is refused, linked by their first words. */
static void *chain;
static size_t map_all(void) {
    size_t count = 0;
    void **block;
    while ((block = map(MIB, PROT_READ | PROT_WRITE)) != MAP_FAILED) {
        *block = chain;
        chain = block;
        count++;
    }
    expect(errno == ENOMEM, "memory beyond the limit is refused with ENOMEM");
    return count;
}

static void unmap_all(void) {
    while (chain) {
        void *block = chain;
        chain = *(void **)block;
        munmap(block, MIB);
    }
}

/* In a child: its status is the answer. */
static bool in_child(bool (*check)(size_t), size_t argument) {
    int status;
    fflush(stdout);
    pid_t child = fork();
    if (!child)
        _exit(!check(argument));
    expect(child > 0, "a process can be made");
    MUST(waitpid(child, &status, 0));
    return status == 0;
}

static bool can_map(size_t size) {
    void *block = map(size, PROT_READ | PROT_WRITE);
    if (block == MAP_FAILED)
        return false;
    munmap(block, size);
    return true;
}

static bool cannot_map(size_t size) {
    return !can_map(size);
}

/* The other ways to more memory, while there is none. */
static void check_refusals(void) {
    void *block = chain, *next = *(void **)block, *reserved = map(256 * MIB, PROT_NONE);
    expect(reserved != MAP_FAILED, "a reservation costs nothing");
    expect(mprotect(reserved, MIB, PROT_READ | PROT_WRITE) < 0 && errno == ENOMEM,
           "making it writable does");
    expect(mremap(block, MIB, 2 * MIB, MREMAP_MAYMOVE) == MAP_FAILED && errno == ENOMEM,
           "a mapping cannot grow");
    expect(sbrk(8 * MIB) == (void *)-1, "nor the heap");
    expect(map(MIB, PROT_READ) != MAP_FAILED, "what cannot be written costs nothing");
    expect(mmap(block, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                0) == block,
           "a mapping may replace one of its size");
    *(void **)block = next;
    munmap(reserved, 256 * MIB);
}

/* Kills a process that holds nearly everything, without letting it tidy up. */
static void check_killed(size_t size) {
    int ready[2];
    char byte;
    MUST(pipe(ready));
    pid_t child = fork();
    if (!child) {
        setpgid(0, 0);
        expect(map(size, PROT_READ | PROT_WRITE) != MAP_FAILED, "a child maps nearly all");
        MUST(write(ready[1], "", 1));
        for (;;)
            pause();
    }
    MUST(read(ready[0], &byte, 1));
    expect(!can_map(size), "it counts for all");
    kill(-child, SIGKILL);
    siginfo_t info;
    MUST(waitid(P_PID, child, &info, WEXITED | WNOWAIT));
    expect(can_map(size), "a killed child's memory comes back before anyone waited for it");
    MUST(waitpid(child, NULL, 0));
}

/* The memory of a process that forked counts on when it has ended. */
static void check_orphan(size_t size) {
    int hold[2], ready[2];
    char byte;
    MUST(pipe(hold));
    MUST(pipe(ready));
    pid_t parent = fork();
    if (!parent) {
        expect(map(size, PROT_READ | PROT_WRITE) != MAP_FAILED, "a child maps nearly all");
        if (fork())
            _exit(0);
        close(hold[1]);
        MUST(write(ready[1], "", 1));
        MUST(read(hold[0], &byte, 1) + 1);
        _exit(0);
    }
    MUST(waitpid(parent, NULL, 0));
    MUST(read(ready[0], &byte, 1));
    expect(!can_map(size), "an orphan's inherited memory counts");
    close(hold[1]);
    while (wait(NULL) > 0)
        ;
}

static void check_threads(size_t size) {
    pthread_t threads[16];
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < 16; i++) /* 8 MiB of stack each */
        expect(!pthread_create(&threads[i], NULL, wait_for_lock, &lock), "stacks count nothing");
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < 16; i++)
        pthread_join(threads[i], NULL);
    expect(can_map(size), "threads left nothing behind");
}

static void check_memory(size_t limit) {
    size_t count = map_all();
    expect(count < limit / MIB && count > limit / MIB / 2, "about the limit can be had");
    check_refusals();
    expect(in_child(cannot_map, MIB), "a child has no memory of its own to begin with");
    unmap_all();
    expect(can_map(count * MIB), "freed memory can be had again");
    expect(map_all() == count, "exactly as much");
    for (int i = 0; i < 16; i++)
        start_child();
    unmap_all();
    MUST(prctl(PR_SET_CHILD_SUBREAPER, 1));
    signal(SIGTERM, SIG_IGN);
    MUST(kill(0, SIGTERM));
    signal(SIGTERM, SIG_DFL);
    while (wait(NULL) > 0)
        ;
    expect(map_all() == count, "forks that wrote nothing counted once");
    unmap_all();
    size_t size = (count - 2) * MIB;
    check_killed(size);
    check_orphan(size);
    check_threads(size);
    for (int i = 0; i < 50; i++)
        expect(!system("exit 0"), "programs one after the other");
    void *block = map(size, PROT_READ | PROT_WRITE);
    expect(!mprotect(block, size, PROT_READ) && !can_map(size), "what was written stays counted");
    expect(!mprotect(block, size, PROT_NONE) && can_map(size), "until it cannot be accessed");
}

int main(int argc, char **argv) {
    if (argc == 3 && !strcmp(argv[1], "pids"))
        check_pids(atoi(argv[2]));
    else if (argc == 3 && !strcmp(argv[1], "memory"))
        check_memory(strtoul(argv[2], NULL, 10));
    else
        return 2;
    puts("all held");
    return 0;
}
