/* What tests of questions run inside an instance: calls that somebody has to allow, and what goes
 * on beside them. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void show(const char *what, long result) {
    printf("%s: %s\n", what, result < 0 ? strerrorname_np(errno) : "ok");
    fflush(stdout);
}

static void await_line(void) {
    char byte;
    while (read(0, &byte, 1) == 1 && byte != '\n')
        ;
}

static void *make_directory(void *unused) {
    (void)unused;
    show("mkdir", mkdir("/tmp/new", 0700));
    return NULL;
}

static pthread_t asking(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, make_directory, NULL);
    return thread;
}

static int beside(void) {
    pthread_t thread = asking();
    await_line();
    puts("beside");
    fflush(stdout);
    pthread_join(thread, NULL);
    return 0;
}

/* Forking stops the other threads for a moment. */
static int forks_beside(void) {
    pthread_t thread = asking();
    await_line();
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();
        if (child == 0)
            _exit(0);
        waitpid(child, NULL, 0);
    }
    puts("forked");
    fflush(stdout);
    pthread_join(thread, NULL);
    return 0;
}

static int ends_beside(void) {
    asking();
    await_line();
    exit(0);
}

static int executes_beside(void) {
    asking();
    await_line();
    execl("/bin/sh", "sh", "-c", "echo executed; read go", NULL);
    return 1;
}

static void *execute(void *unused) {
    (void)unused;
    execl("/bin/asked", "asked", "connects", NULL);
    return NULL;
}

static int beside_execution(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, execute, NULL);
    await_line();
    puts("beside");
    fflush(stdout);
    pthread_join(thread, NULL);
    return 1;
}

static int made, refused;

static void *make_one(void *number) {
    char path[32];
    snprintf(path, sizeof path, "/tmp/%ld", (long)number);
    if (mkdir(path, 0700) == 0)
        __atomic_fetch_add(&made, 1, __ATOMIC_SEQ_CST);
    else if (errno == EPERM)
        __atomic_fetch_add(&refused, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

static int many(int count) {
    pthread_t threads[128];
    for (long i = 0; i < count; i++)
        pthread_create(&threads[i], NULL, make_one, (void *)i);
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    printf("made %d, refused %d\n", made, refused);
    return 0;
}

static volatile int handled;

static void handle(int signal) {
    (void)signal;
    handled++;
}

static int signalled(int flags) {
    struct sigaction action = {.sa_handler = handle, .sa_flags = flags};
    sigaction(SIGUSR1, &action, NULL);
    long result = mkdir("/tmp/new", 0700);
    printf("handled %d\n", handled);
    show("mkdir", result);
    return 0;
}

static int connects(void) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(8080)};
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    show("connect", connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&to, sizeof to));
    return 0;
}

static int spawns(void) {
    pid_t child;
    char *argv[] = {"true", NULL};
    int status = 0, error = posix_spawn(&child, "/bin/asked", NULL, NULL, argv, argv + 1);
    if (error == 0)
        waitpid(child, &status, 0);
    printf("spawned: %s, %d\n", error ? strerrorname_np(error) : "ok", status);
    return 0;
}

/* What is asked about in memory may be changed while somebody thinks about it. */
static struct open_how how = {.flags = O_RDONLY};
static char path[64] = "/tmp/asked";

static void *change_flags(void *unused) {
    (void)unused;
    await_line();
    how.flags = O_RDWR;
    puts("changed");
    fflush(stdout);
    return NULL;
}

static void *change_path(void *unused) {
    (void)unused;
    await_line();
    strcpy(path, "/tmp/other");
    puts("changed");
    fflush(stdout);
    return NULL;
}

static int changes(void *(*change)(void *)) {
    pthread_t thread;
    pthread_create(&thread, NULL, change, NULL);
    show("open", syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how));
    return 0;
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "beside"))
        return beside();
    if (!strcmp(what, "forks-beside"))
        return forks_beside();
    if (!strcmp(what, "ends-beside"))
        return ends_beside();
    if (!strcmp(what, "executes-beside"))
        return executes_beside();
    if (!strcmp(what, "beside-execution"))
        return beside_execution();
    if (!strcmp(what, "many"))
        return many(atoi(argv[2]));
    if (!strcmp(what, "restarted"))
        return signalled(SA_RESTART);
    if (!strcmp(what, "interrupted"))
        return signalled(0);
    if (!strcmp(what, "connects"))
        return connects();
    if (!strcmp(what, "spawns"))
        return spawns();
    if (!strcmp(what, "changes-flags"))
        return changes(change_flags);
    if (!strcmp(what, "changes-path"))
        return changes(change_path);
    return 2;
}
