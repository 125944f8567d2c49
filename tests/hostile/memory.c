/* Attacks on the address space: unmap, protect, move and replace all of it, or what is not the
 * program's. */
#include "hostile.h"
#include <sys/auxv.h>
#include <sys/shm.h>

#define FIXED (MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED)
static const unsigned long places[] = {
    0x100000000000, 0x100000001000, 0x400000000000, 1ul << 46, (1ul << 46) - 4096, 0x500000000000,
    0x4fff00000000, 0x7ffff7dd0000, 0x7fffffffe000, 0x10000,   1ul << 45};

static void unmap_all(void) {
    syscall(SYS_munmap, 0, 1ul << 46);
    syscall(SYS_munmap, 0, (1ul << 47) - 4096);
}
static void protect_all(void) {
    syscall(SYS_mprotect, 0x10000, (1ul << 46) - 0x20000, PROT_NONE);
    unsigned long stack = (unsigned long)__builtin_frame_address(0) & -4096ul;
    syscall(SYS_mprotect, stack - 65536, 0x20000, PROT_NONE);
}
static void replace_code(void) {
    unsigned long here = (unsigned long)(uintptr_t)replace_code & -4096ul;
    syscall(SYS_mmap, here - 65536, 1 << 20, PROT_READ, FIXED, -1, 0);
}
static void foreign_places(void) {
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        void *map = mmap((void *)places[i], 4096, PROT_READ | PROT_WRITE, FIXED, -1, 0);
        if (map != MAP_FAILED)
            *(volatile char *)map = 1; /* the program's own then, wherever it is */
        munmap((void *)places[i], 4096);
        mprotect((void *)places[i], 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
        madvise((void *)places[i], 4096, MADV_DONTNEED);
        msync((void *)places[i], 4096, MS_SYNC);
        mremap((void *)places[i], 4096, 8192, MREMAP_MAYMOVE);
        shmat(0, (void *)places[i], SHM_REMAP);
        syscall(SYS_remap_file_pages, places[i], 4096, 0, 0, 0);
        syscall(SYS_mbind, places[i], 4096, 0, NULL, 0, 0);
    }
}
static void vdso(void) {
    unsigned long at = getauxval(AT_SYSINFO_EHDR);
    if (!at)
        return;
    struct timespec time;
    syscall(SYS_mprotect, at, 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
    syscall(SYS_madvise, at, 4096, MADV_DONTNEED);
    syscall(SYS_mremap, at, 4096, 8192, MREMAP_MAYMOVE);
    clock_gettime(CLOCK_MONOTONIC, &time);
    syscall(SYS_munmap, at - 65536, 1 << 18);
    mmap((void *)at, 4096, PROT_READ | PROT_WRITE, FIXED, -1, 0);
    *(volatile char *)at = 1;
}
static void write_vdso(void) {
    unsigned long at = getauxval(AT_SYSINFO_EHDR);
    if (at)
        *(volatile char *)at = 1;
    _exit(55);
}
static void many_maps(void) {
    for (int i = 0; i < 30000; i++)
        if (mmap((void *)((unsigned long)i << 24 | 1ul << 41), 4096,
                 PROT_READ | (i & 1 ? PROT_WRITE : 0), FIXED | MAP_NORESERVE, -1, 0) == MAP_FAILED)
            break;
    for (long i = 0; i < 30000; i += 100) {
        char *page = (char *)((unsigned long)i << 24 | 1ul << 41 | 1ul << 24);
        *(volatile char *)page = 1;
    }
}
static void *churning(void *seed_value) {
    unsigned long seed = (unsigned long)seed_value;
    for (int i = 0; i < 3000; i++) {
        char *at = (char *)(0x300000000000 + dice(&seed) % 64 * (1 << 20));
        size_t size = (dice(&seed) % 64 + 1) << 12;
        switch (dice(&seed) % 6) {
        case 0:
            munmap(at, size);
            break;
        case 1:
            mprotect(at, size, (int)(dice(&seed) % 8));
            break;
        case 2:
            mremap(at, size, size * 2, MREMAP_MAYMOVE);
            break;
        case 3:
            madvise(at, size, MADV_DONTNEED);
            break;
        default:
            mmap(at, size, PROT_READ | PROT_WRITE, FIXED, -1, 0);
            (void)!write(-1, at, size);
            syscall(SYS_getrandom, at, size, 0);
        }
    }
    return NULL;
}
static void churn(void) {
    pthread_t threads[4];
    for (long i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, churning, (void *)(i + 77));
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}
static void too_much(void) {
    while (mmap(NULL, 1ul << 40, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED)
        ;
    while (mmap(NULL, 1ul << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) !=
           MAP_FAILED)
        ;
    pid_t child = fork();
    if (!child)
        _exit(0);
    waitpid(child, NULL, 0);
}

int main(void) {
    in_child("unmap all", unmap_all, 10);
    in_child("protect all", protect_all, 10);
    in_child("replace code", replace_code, 10);
    in_child("foreign places", foreign_places, 10);
    in_child("vdso", vdso, 10);
    in_child("write to vdso", write_vdso, 10);
    in_child("many maps", many_maps, 30);
    in_child("churn", churn, 30);
    in_child("too much", too_much, 30);
    survived();
    return 0;
}
