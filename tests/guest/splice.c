/* splice, tee, vmsplice, sendfile, copy_file_range. */
#include "check.h"
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

static void drain(int fd) {
    char text[64] = {0};
    long got = read(fd, text, sizeof text - 1);
    printf("holds %ld: %s\n", got, text);
}

int main(void) {
    enter_directory();
    write_file("in", "0123456789abcdef");
    int in = MUST(open("in", O_RDONLY)), out = MUST(open("out", O_RDWR | O_CREAT, 0600));
    int fds[2], more[2], sockets[2];
    MUST(pipe2(fds, O_NONBLOCK));
    MUST(pipe2(more, O_NONBLOCK));
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
    title("splice");
    loff_t offset = 4;
    SHOW(splice(in, &offset, fds[1], NULL, 6, 0));
    printf("offset %ld\n", (long)offset);
    SHOW(tee(fds[0], more[1], 100, 0));
    drain(fds[0]);
    SHOW(splice(more[0], NULL, out, NULL, 100, SPLICE_F_MOVE));
    SHOW(splice(more[0], NULL, out, NULL, 100, SPLICE_F_NONBLOCK));
    SHOW(splice(in, NULL, out, NULL, 4, 0));
    SHOW(splice(fds[0], &offset, out, NULL, 4, 0));
    SHOW(splice(in, NULL, fds[1], NULL, 4, 0x100));
    SHOW(splice(in, (loff_t *)8, fds[1], NULL, 4, 0));
    SHOW(splice(700, NULL, fds[1], NULL, 4, 0));
    SHOW(tee(in, fds[1], 4, 0));
    title("vmsplice");
    struct iovec parts[2] = {{"vector ", 7}, {"splice", 6}};
    SHOW(vmsplice(fds[1], parts, 2, 0));
    drain(fds[0]);
    SHOW(vmsplice(fds[1], parts, 2000, 0));
    SHOW(vmsplice(fds[1], (struct iovec *)8, 1, 0));
    SHOW(vmsplice(in, parts, 1, 0));
    title("sendfile");
    off_t from = 10;
    SHOW(sendfile(sockets[0], in, &from, 100));
    printf("offset %ld\n", (long)from);
    drain(sockets[1]);
    SHOW(lseek(in, 2, SEEK_SET));
    SHOW(sendfile(out, in, NULL, 3));
    SHOW(lseek(in, 0, SEEK_CUR));
    SHOW(sendfile(out, sockets[1], NULL, 3));
    SHOW(sendfile(in, in, NULL, 3));
    SHOW(sendfile(out, in, (off_t *)8, 3));
    from = -4;
    SHOW(sendfile(out, in, &from, 3));
    SHOW(sendfile(out, 701, NULL, 3));
    title("copy_file_range");
    offset = 0;
    loff_t to = 20;
    SHOW(copy_file_range(in, &offset, out, &to, 8, 0));
    printf("offsets %ld %ld\n", (long)offset, (long)to);
    SHOW(copy_file_range(in, &offset, out, &to, 8, 1));
    offset = 0, to = 4;
    SHOW(copy_file_range(out, &offset, out, &to, 8, 0));
    offset = 100;
    SHOW(copy_file_range(in, &offset, out, &to, 8, 0));
    SHOW(copy_file_range(fds[0], NULL, out, NULL, 8, 0));
    SHOW(copy_file_range(in, NULL, fds[1], NULL, 8, 0));
    struct stat info;
    MUST(fstat(out, &info));
    printf("size %ld\n", (long)info.st_size);
    char text[40] = {0};
    SHOW(pread(out, text, sizeof text - 1, 0));
    for (int i = 0; i < 39; i++)
        putchar(text[i] ? text[i] : '.');
    putchar('\n');
    check_leave();
    return 0;
}
