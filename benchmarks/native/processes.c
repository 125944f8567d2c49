/* processes KIND COUNT PROGRAM: making processes, and waiting for the end of each. KIND: fork
 * (which ends at once), exec (fork and exec), vfork (vfork and exec), spawn (posix_spawn). */
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "measure.h"

extern char **environ;

static pid_t make(const char *kind, char *program) {
    char *arguments[] = {program, NULL};
    pid_t child = -1;
    if (!strcmp(kind, "spawn")) {
        must(posix_spawn(&child, program, NULL, NULL, arguments, environ) == 0, "posix_spawn");
        return child;
    }
    child = strcmp(kind, "vfork") ? fork() : vfork();
    if (child)
        return child;
    if (!strcmp(kind, "fork"))
        _exit(0);
    execv(program, arguments);
    _exit(127);
}

int main(int argc, char **argv) {
    long count = argument(argc, argv, 2);
    if (argc < 4)
        return 2;
    uint64_t start = now_ns();
    for (long i = 0; i < count; i++) {
        int status;
        pid_t child = make(argv[1], argv[3]);
        must(child > 0, argv[1]);
        must(waitpid(child, &status, 0) == child && status == 0, "waitpid");
    }
    tell("ns_per_process", (double)(now_ns() - start) / (double)count);
    return 0;
}
