/* The initial stack: arguments, environment and the auxiliary vector. */
#include "check.h"
#include <elf.h>
#include <link.h>
#include <sys/auxv.h>

extern char **environ;
extern char __executable_start[], _start[];

int main(int argc, char **argv) {
    if (argc == 1) {
        char *arguments[] = {"the program", "", "two words", "\xff\xfe", NULL},
             *environment[] = {"A=1", "EMPTY=", "no-equals", NULL};
        execve("/proc/self/exe", arguments, environment);
        printf("exec: %s\n", error_name(errno));
        return 1;
    }
    printf("arguments %d:", argc);
    for (int i = 0; i < argc; i++)
        printf(" [%s]", argv[i]);
    printf("\nenvironment:");
    for (char **variable = environ; *variable; variable++)
        printf(" [%s]", *variable);
    printf("\n");
    IS(environ == argv + argc + 1);
    IS(argv[1] == argv[0] + strlen(argv[0]) + 1);
    IS(environ[1] == environ[0] + strlen(environ[0]) + 1);
    printf("page %lu clock %lu flags %lu secure %lu\n", getauxval(AT_PAGESZ), getauxval(AT_CLKTCK),
           getauxval(AT_FLAGS), getauxval(AT_SECURE));
    printf("uid %lu %lu gid %lu %lu\n", getauxval(AT_UID), getauxval(AT_EUID), getauxval(AT_GID),
           getauxval(AT_EGID));
    printf("platform %s\n", (char *)getauxval(AT_PLATFORM));
    printf("file name %s\n", (char *)getauxval(AT_EXECFN));
    IS(getauxval(AT_HWCAP) & 1 << 25); /* SSE */
    IS(getauxval(AT_MINSIGSTKSZ) >= 2048 && getauxval(AT_MINSIGSTKSZ) < 65536);
    unsigned char *random = (void *)getauxval(AT_RANDOM), or = 0;
    for (int i = 0; i < 16; i++)
        or |= random[i];
    IS(or != 0);
    const ElfW(Phdr) *header = (void *)getauxval(AT_PHDR);
    IS(getauxval(AT_PHENT) == sizeof *header);
    IS((uintptr_t)header - (uintptr_t)__executable_start == 64);
    IS(getauxval(AT_ENTRY) == (uintptr_t)_start);
    int loads = 0, interpreter = 0;
    for (unsigned long i = 0; i < getauxval(AT_PHNUM); i++) {
        loads += header[i].p_type == PT_LOAD;
        interpreter += header[i].p_type == PT_INTERP;
    }
    IS(loads >= 2);
    IS((getauxval(AT_BASE) != 0) == (interpreter == 1));
    if (getauxval(AT_BASE))
        IS(memcmp((void *)getauxval(AT_BASE), "\177ELF", 4) == 0);
    unsigned char *vdso = (void *)getauxval(AT_SYSINFO_EHDR);
    IS(!vdso || memcmp(vdso, "\177ELF", 4) == 0);
    IS((uintptr_t)argv < 1ul << 47 && (uintptr_t)&argc < (uintptr_t)argv);
    IS((uintptr_t)(argv - 1) % 16 == 0);
    return 0;
}
