/* posix_spawn, popen, system: errors reach the parent; actions and attributes work. */
#include "check.h"
#include <spawn.h>

extern char **environ;

static void try(const char *name, const char *path, posix_spawn_file_actions_t *actions,
                posix_spawnattr_t *attributes, char **arguments) {
    pid_t child = -1;
    fflush(stdout);
    int result = posix_spawn(&child, path, actions, attributes, arguments, environ);
    if (!result)
        reap(name, child); /* first: what the child prints comes before what is printed here */
    printf("%s: %s\n", name, result ? error_name(result) : "ok");
}

/* What a spawned copy of this program reports about itself. */
static int report(void) {
    sigset_t mask;
    struct sigaction action;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    sigaction(SIGINT, NULL, &action);
    printf("child: USR1 blocked %d, INT ignored %d, leads its group %d, fd 20 %s\n",
           sigismember(&mask, SIGUSR1), action.sa_handler == SIG_IGN, getpgrp() == getpid(),
           fcntl(20, F_GETFD) == -1 ? "closed" : "open");
    char text[32] = {0};
    if (fcntl(21, F_GETFD) != -1 && read(21, text, sizeof text - 1) > 0)
        printf("child reads %s\n", text);
    return 17;
}

int main(int argc, char **argv) {
    if (argc > 1)
        return report();
    enter_directory();
    write_file("text", "no program");
    write_file("data", "handed over");
    MUST(chmod("text", 0755));
    MUST(mkdir("directory", 0755));
    char *self[] = {argv[0], "report", NULL};
    char exe[] = "/proc/self/exe";
    title("errors");
    try("missing", "/missing/program", NULL, NULL, self);
    try("not executable", "data", NULL, NULL, self);
    try("directory", "directory", NULL, NULL, self);
    try("no format", "text", NULL, NULL, self);
    title("actions");
    MUST(dup2(1, 20));
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addclose(&actions, 20);
    posix_spawn_file_actions_addopen(&actions, 21, "data", O_RDONLY, 0);
    try("actions", exe, &actions, NULL, self);
    posix_spawn_file_actions_addopen(&actions, 22, "nowhere", O_RDONLY, 0);
    try("failing action", exe, &actions, NULL, self);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addchdir_np(&actions, "/");
    posix_spawn_file_actions_adddup2(&actions, 1, 23);
    try("directory and dup", exe, &actions, NULL, self);
    title("attributes");
    posix_spawnattr_t attributes;
    sigset_t set;
    posix_spawnattr_init(&attributes);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    posix_spawnattr_setsigmask(&attributes, &set);
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    posix_spawnattr_setsigdefault(&attributes, &set);
    posix_spawnattr_setpgroup(&attributes, 0);
    signal(SIGINT, SIG_IGN);
    try("ignored", exe, NULL, NULL, self);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                              POSIX_SPAWN_SETPGROUP);
    try("attributes", exe, NULL, &attributes, self);
    signal(SIGINT, SIG_DFL);
    title("the shell");
    pid_t child;
    char *shell[] = {"sh", "-c", "echo from the shell; exit 3", NULL};
    fflush(stdout);
    int spawned = posix_spawnp(&child, "sh", NULL, NULL, shell, environ);
    reap("sh", child);
    printf("spawnp: %d\n", spawned);
    printf("spawnp missing: %s\n",
           error_name(posix_spawnp(&child, "no-such-program", NULL, NULL, shell, environ)));
    fflush(stdout);
    show_status("system", system("echo $((6 * 7)); exit 9"));
    show_status("system", system("kill -TERM $$"));
    FILE *pipe = popen("cat; echo more", "w");
    fputs("into the pipe\n", pipe);
    show_status("pclose", pclose(pipe));
    check_leave();
    return 0;
}
