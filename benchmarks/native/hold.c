/* hold FILE: maps a file, reads each of its pages, and keeps it until it is killed. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure.h"

#define PAGE 4096ul

int main(int argc, char **argv) {
    must(argc > 1, "a file is missing");
    int file = open(argv[1], O_RDONLY | O_CLOEXEC);
    must(file >= 0, argv[1]);
    struct stat stat;
    must(fstat(file, &stat) == 0, "fstat");
    const volatile uint8_t *memory =
        mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    must(memory != MAP_FAILED, "mmap");
    for (size_t at = 0; at < (size_t)stat.st_size; at += PAGE)
        (void)memory[at];
    for (;;)
        pause();
}
