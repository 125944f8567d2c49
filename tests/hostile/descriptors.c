/* One thread closes, duplicates, maps and asks things of every descriptor number while others make
 * threads and processes, whose virtual CPUs pass through low numbers. */
#include "hostile.h"
#include <linux/kvm.h>
#include <sys/ioctl.h>

static volatile int over;
static volatile long maps, answers;

static void probe(int fd) {
    void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map != MAP_FAILED) {
        maps++; /* no descriptor of this program can be mapped */
        munmap(map, 4096);
    }
    if (ioctl(fd, KVM_GET_API_VERSION, 0) > 0 || ioctl(fd, KVM_CREATE_VM, 0) >= 0 ||
        ioctl(fd, KVM_GET_VCPU_MMAP_SIZE, 0) > 0 || ioctl(fd, KVM_CREATE_VCPU, 5) >= 0 ||
        ioctl(fd, KVM_CHECK_EXTENSION, 1) > 0)
        answers++;
    struct kvm_userspace_memory_region region = {.slot = 0};
    struct kvm_sregs special;
    if (ioctl(fd, KVM_SET_USER_MEMORY_REGION, &region) == 0 ||
        ioctl(fd, KVM_GET_SREGS, &special) == 0 || ioctl(fd, KVM_RUN, 0) == 0)
        answers++;
}

static void *attacking(void *unused) {
    int out = (int)(long)unused;
    while (!over) {
        for (int fd = 3; fd < 64; fd++)
            if (fd != out)
                probe(fd);
        for (int fd = 3; fd < 40; fd++) {
            int copy = fcntl(fd, F_DUPFD, 100);
            if (copy >= 0 && fd != out)
                probe(copy);
            if (copy >= 0)
                close(copy);
            if (fd != out)
                close(fd);
        }
        syscall(SYS_close_range, out + 1, ~0u, 0);
        syscall(SYS_close_range, out + 1, ~0u, 4 /* CLOEXEC */);
        for (int fd = 15000; fd < 17000; fd += 7) {
            probe(fd);
            close(fd);
            dup2(0, fd);
            dup3(0, fd, O_CLOEXEC);
        }
    }
    return NULL;
}

static void *brief(void *value) {
    return value;
}
static void race(void) {
    pthread_t attackers[2], thread;
    int out = dup2(1, 200), made = 0, forked = 0;
    for (int i = 0; i < 2; i++)
        pthread_create(&attackers[i], NULL, attacking, (void *)(long)out);
    int64_t end = now_ms() + 6000;
    while (now_ms() < end) {
        pthread_t many[8];
        int count = 0;
        while (count < 8 && pthread_create(&many[count], NULL, brief, NULL) == 0)
            count++;
        for (int i = 0; i < count; i++)
            pthread_join(many[i], NULL);
        made += count;
        pid_t child = fork();
        if (!child) {
            if (pthread_create(&thread, NULL, brief, NULL) == 0)
                pthread_join(thread, NULL);
            _exit(3);
        }
        int status = 0;
        if (child > 0 && waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 3)
            forked++;
    }
    over = 1;
    for (int i = 0; i < 2; i++)
        pthread_join(attackers[i], NULL);
    IS(made > 50);
    IS(forked > 5);
    IS(maps == 0);
    IS(answers == 0);
}

/* Everything closed at once, before and after which the program goes on. */
static void all_closed(void) {
    for (int fd = 3; fd < 20000; fd++)
        close(fd);
    syscall(SYS_close_range, 3, ~0u, 0);
    pthread_t thread;
    IS(pthread_create(&thread, NULL, brief, NULL) == 0 && pthread_join(thread, NULL) == 0);
    pid_t child = fork_flushed();
    if (!child) {
        char *arguments[] = {"descriptors", "after", NULL}, *none[] = {NULL};
        syscall(SYS_close_range, 3, ~0u, 0);
        execve("/proc/self/exe", arguments, none);
        _exit(1);
    }
    reap("exec", child);
}

int main(int argc, char **argv) {
    if (argc > 1) {
        printf("%s\n", argv[1]);
        return 0;
    }
    in_child("race", race, 30);
    in_child("all closed", all_closed, 20);
    /* As passed by name too: descriptors of the monitor must not be reachable through sockets. */
    int pair[2], leaked = 0;
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    for (int fd = 3; fd < 20000; fd++)
        if (fd != pair[0] && fd != pair[1])
            leaked += pass(pair[0], fd) >= 0;
    IS(leaked == 0);
    survived();
    return 0;
}
