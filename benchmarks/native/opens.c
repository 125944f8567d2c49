/* opens COUNT DIRECTORY [NAME PATH]...: in the directory, opens each path so
 * often, in turns, and tells the median of what openat took as NAME; that of
 * getppid as `call`. */
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "measure.h"

#define KINDS_MAX 8
#define TURN 20 /* calls of one kind, then the next */

static void call_once(struct pieces *pieces) {
    uint64_t start = now_ns();
    syscall(SYS_getppid);
    piece_add(pieces, now_ns() - start);
}

static void open_once(struct pieces *pieces, const char *path) {
    uint64_t start = now_ns();
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    piece_add(pieces, now_ns() - start);
    must(fd >= 0, path);
    close(fd);
}

int main(int argc, char **argv) {
    size_t count = (size_t)argument(argc, argv, 1);
    int kinds = (argc - 3) / 2;
    struct pieces calls = pieces_for(count), opens[KINDS_MAX];
    must(argc > 2 && kinds <= KINDS_MAX && chdir(argv[2]) == 0, "opens");
    for (int kind = 0; kind < kinds; kind++)
        opens[kind] = pieces_for(count);
    for (size_t done = 0; done < count; done += TURN) {
        for (int i = 0; i < TURN; i++)
            call_once(&calls);
        for (int kind = 0; kind < kinds; kind++)
            for (int i = 0; i < TURN; i++)
                open_once(&opens[kind], argv[4 + 2 * kind]);
    }
    tell("call", piece_at(&calls, 0.5));
    for (int kind = 0; kind < kinds; kind++)
        tell(argv[3 + 2 * kind], piece_at(&opens[kind], 0.5));
    return 0;
}
