/* Evaluates a policy for the tests of Python's compiler. Built by
 *   gcc -std=gnu11 -ffreestanding -O1 -fno-builtin -I. -c
 * policy/{validate,decide,paths,glob,network}.c base/text.c gcc -std=gnu11 -O1 -I. -o policy_eval
 * tests/policy_eval.c *.o in kwhost/monitor. Its argument is a file with a struct kw_policy; each
 * line of standard input is a question, answered by one line "ACTION ERRNO RULE": call NUMBER A0 A1
 * A2 A3 A4 A5 path ACCESS PATH to PROTOCOL PORT ADDRESS, or: listen PROTOCOL PORT ADDRESS */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/policy.h"

static struct kw_policy policy;

static struct kw_policy_verdict ask_call(char *line) {
    u64 number[7] = {0};
    for (u32 i = 0; i < 7; i++)
        number[i] = strtoull(line, &line, 0);
    return policy_call(&policy, number[0], number + 1);
}

static struct kw_policy_verdict ask_network(enum kw_policy_direction direction, char *line) {
    struct policy_address address = {0};
    address.protocol = (u8)strtoul(line, &line, 0);
    address.port = (u16)strtoul(line, &line, 0);
    char *text = line + strspn(line, " ");
    if (inet_pton(AF_INET6, text, address.bytes) != 1) {
        address.bytes[10] = address.bytes[11] = 0xff;
        if (inet_pton(AF_INET, text, address.bytes + 12) != 1)
            exit(2);
    }
    return policy_network(&policy, direction, &address);
}

static struct kw_policy_verdict ask(char *line) {
    if (!strncmp(line, "call ", 5))
        return ask_call(line + 5);
    if (!strncmp(line, "to ", 3))
        return ask_network(KW_POLICY_TO, line + 3);
    if (!strncmp(line, "listen ", 7))
        return ask_network(KW_POLICY_LISTEN, line + 7);
    if (!strncmp(line, "path ", 5)) {
        char *path;
        u32 access = (u32)strtoul(line + 5, &path, 0);
        return policy_path(&policy, path + 1, access);
    }
    exit(2);
}

int main(int argc, char **argv) {
    static char line[8192];
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (!file || fread(&policy, 1, sizeof policy, file) != sizeof policy)
        return 2;
    const char *problem = policy_check(&policy);
    if (problem) {
        fprintf(stderr, "%s\n", problem);
        return 1;
    }
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        struct kw_policy_verdict verdict = ask(line);
        printf("%u %u %u\n", verdict.action, verdict.error, verdict.rule);
        fflush(stdout);
    }
    return 0;
}
