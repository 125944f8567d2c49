/* Makes the system calls that standard input names, one a line, and prints what
 * became of each:
 *
 *   NUMBER ARGUMENT...      ->      ok | ENAME
 *
 * An argument is a number, `@TEXT` (its address), `in:PORT:ADDRESS` (of a
 * struct sockaddr_in), `fd` (what the call before gave) or `clone:FLAGS` (of a
 * struct clone_args). */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static long last;

static long address_of(const char *text) {
    struct sockaddr_in *address = calloc(1, sizeof *address);
    char host[64] = "";
    unsigned port = 0;
    sscanf(text, "%u:%63s", &port, host);
    address->sin_family = AF_INET;
    address->sin_port = htons((unsigned short)port);
    inet_pton(AF_INET, host, &address->sin_addr);
    return (long)address;
}

static long clone_of(const char *text) {
    struct clone_args *arguments = calloc(1, sizeof *arguments);
    arguments->flags = strtoull(text, NULL, 0);
    return (long)arguments;
}

static long argument(const char *text) {
    if (text[0] == '@')
        return (long)strdup(text + 1);
    if (!strncmp(text, "in:", 3))
        return address_of(text + 3);
    if (!strncmp(text, "clone:", 6))
        return clone_of(text + 6);
    return strcmp(text, "fd") ? (long)strtoull(text, NULL, 0) : last;
}

int main(void) {
    char line[512];
    while (fgets(line, sizeof line, stdin)) {
        long value[7] = {0};
        int count = 0;
        for (char *word = strtok(line, " \n"); word && count < 7; word = strtok(NULL, " \n"))
            value[count++] = argument(word);
        errno = 0;
        long result = syscall(value[0], value[1], value[2], value[3], value[4], value[5], value[6]);
        if (result == 0 &&
            (value[0] == SYS_fork || value[0] == SYS_clone || value[0] == SYS_clone3))
            _exit(0); /* a child that should not be */
        if (result >= 0)
            last = result;
        printf("%s\n", result < 0 ? strerrorname_np(errno) : "ok");
    }
    return 0;
}
