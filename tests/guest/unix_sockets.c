/* AF_UNIX sockets: pairs, paths, abstract names, datagrams, descriptors and credentials. */
#include "check.h"
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

static socklen_t address(struct sockaddr_un *to, const char *path, bool abstract) {
    memset(to, 0, sizeof *to);
    to->sun_family = AF_UNIX;
    strcpy(to->sun_path + abstract, path);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1);
}

static void pairs(void) {
    title("pairs");
    int fds[2];
    char text[16] = {0};
    SHOW(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
    SHOW(fcntl(fds[0], F_GETFD));
    SHOW(recv(fds[0], text, 1, 0));
    SHOW(send(fds[0], "hello", 5, 0));
    SHOW(recv(fds[1], text, 3, MSG_PEEK));
    SHOW(recv(fds[1], text, 3, 0));
    SHOW(recv(fds[1], text, 10, MSG_WAITALL));
    SHOW(shutdown(fds[0], SHUT_WR));
    SHOW(recv(fds[1], text, 10, 0));
    SHOW(send(fds[0], "x", 1, MSG_NOSIGNAL));
    SHOW(shutdown(fds[0], 9));
    SHOW(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds));
    SHOW(send(fds[0], "first", 5, MSG_EOR));
    SHOW(send(fds[0], "second", 6, 0));
    SHOW(recv(fds[1], text, 3, MSG_TRUNC));
    SHOW(recv(fds[1], text, 16, 0));
    SHOW(socketpair(AF_INET, SOCK_STREAM, 0, fds));
    SHOW(socketpair(AF_UNIX, 77, 0, fds));
    SHOW(syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, 8));
    SHOW(socket(AF_UNIX, SOCK_STREAM, 9));
    SHOW(socket(9999, SOCK_STREAM, 0));
}

static void listening(bool abstract) {
    title(abstract ? "abstract name" : "path");
    struct sockaddr_un name, peer;
    socklen_t size = address(&name, abstract ? "kwhost-check" : "socket", abstract),
              got = sizeof peer;
    int server = MUST(socket(AF_UNIX, SOCK_STREAM, 0)),
        client = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
    SHOW(connect(client, (struct sockaddr *)&name, size));
    SHOW(bind(server, (struct sockaddr *)&name, size));
    SHOW(bind(server, (struct sockaddr *)&name, size));
    SHOW(bind(client, (struct sockaddr *)&name, size));
    SHOW(connect(client, (struct sockaddr *)&name, size));
    SHOW(listen(server, 5));
    SHOW(connect(client, (struct sockaddr *)&name, size));
    SHOW(connect(client, (struct sockaddr *)&name, size));
    int accepted = MUST(accept4(server, (struct sockaddr *)&peer, &got, SOCK_CLOEXEC));
    printf("peer size %u\n", got);
    got = sizeof peer;
    SHOW(getsockname(server, (struct sockaddr *)&peer, &got));
    printf("name size %u %s\n", got, peer.sun_path + abstract);
    got = sizeof peer;
    SHOW(getpeername(client, (struct sockaddr *)&peer, &got));
    printf("peer name size %u\n", got);
    SHOW(write(client, "via name", 8));
    char text[16] = {0};
    SHOW(read(accepted, text, 16));
    printf("%s\n", text);
    struct ucred credentials;
    got = sizeof credentials;
    SHOW(getsockopt(accepted, SOL_SOCKET, SO_PEERCRED, &credentials, &got));
    printf("me %d uid %d\n", credentials.pid == getpid(), credentials.uid);
    int one = 1, value = 0;
    SHOW(setsockopt(client, SOL_SOCKET, SO_SNDBUF, &one, 1));
    got = sizeof value;
    SHOW(getsockopt(client, SOL_SOCKET, SO_TYPE, &value, &got));
    printf("type %d size %u\n", value, got);
    SHOW(getsockopt(client, SOL_SOCKET, 9999, &value, &got));
    SHOW(getsockopt(0, SOL_SOCKET, SO_TYPE, &value, &got));
    SHOW(accept(client, NULL, NULL));
    SHOW(listen(accepted, 1));
    close(client), close(accepted), close(server);
}

static void datagrams(void) {
    title("datagrams");
    struct sockaddr_un name, from;
    socklen_t size = address(&name, "datagram", false), got = sizeof from;
    int server = MUST(socket(AF_UNIX, SOCK_DGRAM, 0)),
        client = MUST(socket(AF_UNIX, SOCK_DGRAM, 0));
    MUST(bind(server, (struct sockaddr *)&name, size));
    SHOW(sendto(client, "one", 3, 0, (struct sockaddr *)&name, size));
    SHOW(sendto(client, "", 0, 0, (struct sockaddr *)&name, size));
    char text[8] = {0};
    SHOW(recvfrom(server, text, 2, MSG_TRUNC, (struct sockaddr *)&from, &got));
    printf("from size %u\n", got);
    SHOW(recv(server, text, 8, 0));
    SHOW(recv(server, text, 8, MSG_DONTWAIT));
    SHOW(send(client, "x", 1, 0));
    SHOW(sendto(client, "x", 1, 0, (struct sockaddr *)&name, 200));
    SHOW(sendto(client, "x", 1, 0, (struct sockaddr *)8, size));
    SHOW(sendto(client, (void *)8, 1, 0, (struct sockaddr *)&name, size));
    SHOW(connect(client, (struct sockaddr *)&name, size));
    MUST(unlink("datagram"));
    SHOW(send(client, "two", 3, 0));
    close(server);
    SHOW(send(client, "two", 3, 0));
}

static long pass(int socket, int *fds, int count, const char *text) {
    struct iovec part = {(void *)text, strlen(text)};
    char control[CMSG_SPACE(sizeof(int) * 16)] = {0};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (count) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        *header = (struct cmsghdr){CMSG_LEN(sizeof(int) * (size_t)count), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(header), fds, sizeof(int) * (size_t)count);
    }
    return sendmsg(socket, &message, 0);
}
/* Receives and describes one message; returns the first descriptor that came with it. */
static int receive(int socket, size_t room, int flags) {
    char text[32] = {0}, control[256];
    struct iovec part = {text, sizeof text - 1};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = room};
    long got = recvmsg(socket, &message, flags);
    int first = -1;
    printf("got %ld %s flags %x:", got, text, message.msg_flags & ~MSG_CMSG_CLOEXEC);
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header;
         header = CMSG_NXTHDR(&message, header)) {
        printf(" type %d length %zu", header->cmsg_type, (size_t)header->cmsg_len);
        if (header->cmsg_type == SCM_RIGHTS && header->cmsg_len >= CMSG_LEN(sizeof(int)))
            memcpy(&first, CMSG_DATA(header), sizeof first);
        if (header->cmsg_type == SCM_CREDENTIALS) {
            struct ucred credentials;
            memcpy(&credentials, CMSG_DATA(header), sizeof credentials);
            printf(" me %d uid %u", credentials.pid == getpid(), credentials.uid);
        }
    }
    printf("\n");
    return first;
}

static void passing(void) {
    title("passing descriptors");
    int fds[2], pipes[2], text_fd;
    write_file("f", "content");
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    MUST(pipe(pipes));
    int file = MUST(open("f", O_RDONLY));
    int three[3] = {file, pipes[0], pipes[1]};
    SHOW(pass(fds[0], &file, 1, "file"));
    text_fd = receive(fds[1], 256, MSG_CMSG_CLOEXEC);
    char text[16] = {0};
    SHOW(read(text_fd, text, 16));
    printf("%s cloexec %d\n", text, fcntl(text_fd, F_GETFD));
    SHOW(pass(fds[0], three, 3, "three"));
    receive(fds[1], CMSG_SPACE(sizeof(int) * 2), 0);
    SHOW(pass(fds[0], &file, 1, "no room"));
    receive(fds[1], 0, 0);
    int wrong = 900;
    SHOW(pass(fds[0], &wrong, 1, "closed"));
    wrong = -1;
    SHOW(pass(fds[0], &wrong, 1, "negative"));
    pid_t child = fork_flushed();
    if (!child) {
        write_file("g", "from the child");
        int mine = MUST(open("g", O_RDONLY));
        pass(fds[0], &mine, 1, "child's");
        leave_child(0);
    }
    int theirs = receive(fds[1], 256, 0);
    reap("sender", child);
    memset(text, 0, sizeof text);
    SHOW(read(theirs, text, 14));
    printf("%s\n", text);
    title("credentials");
    int on = 1;
    SHOW(setsockopt(fds[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
    SHOW(pass(fds[0], NULL, 0, "who"));
    receive(fds[1], 256, 0);
}

static void edges(void) {
    title("message edges");
    int fds[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    struct iovec part = {"abc", 3};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    SHOW(sendmsg(fds[0], NULL, 0));
    SHOW(sendmsg(fds[0], (struct msghdr *)8, 0));
    message.msg_iovlen = 5000;
    SHOW(sendmsg(fds[0], &message, 0));
    message.msg_iovlen = 1;
    message.msg_iov = (struct iovec *)8;
    SHOW(sendmsg(fds[0], &message, 0));
    message.msg_iov = &part;
    message.msg_control = (void *)8;
    message.msg_controllen = 24;
    SHOW(sendmsg(fds[0], &message, 0));
    message.msg_controllen = 1ul << 40;
    SHOW(sendmsg(fds[0], &message, 0));
    char control[64] = {0};
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ((struct cmsghdr *)control)->cmsg_len = 3;
    SHOW(sendmsg(fds[0], &message, 0));
    *(struct cmsghdr *)control = (struct cmsghdr){1ul << 40, SOL_SOCKET, SCM_RIGHTS};
    SHOW(sendmsg(fds[0], &message, 0));
    *(struct cmsghdr *)control = (struct cmsghdr){CMSG_LEN(4), SOL_SOCKET, 99};
    SHOW(sendmsg(fds[0], &message, 0));
    message.msg_control = NULL;
    message.msg_controllen = 0;
    message.msg_name = (void *)8;
    message.msg_namelen = 20;
    SHOW(sendmsg(fds[0], &message, 0));
    SHOW(sendmsg(0, &message, 0));
    struct mmsghdr many[3] = {0};
    for (int i = 0; i < 3; i++)
        many[i].msg_hdr = (struct msghdr){.msg_iov = &part, .msg_iovlen = 1};
    SHOW(sendmmsg(fds[0], many, 3, 0));
    printf("lengths %u %u %u\n", many[0].msg_len, many[1].msg_len, many[2].msg_len);
    int left = 0;
    SHOW(ioctl(fds[1], FIONREAD, &left));
    printf("left %d\n", left);
    char space[3][4] = {{0}};
    struct iovec parts[3] = {{space[0], 2}, {space[1], 2}, {space[2], 2}};
    for (int i = 0; i < 3; i++)
        many[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
    struct timespec time = {0, 50000000};
    SHOW(recvmmsg(fds[1], many, 3, MSG_WAITFORONE, &time));
    printf("%s %s %s\n", space[0], space[1], space[2]);
    SHOW(recvmmsg(fds[1], many, 3, 0, (struct timespec *)8));
    SHOW(recvmsg(fds[1], (struct msghdr *)8, 0));
    SHOW(recv(fds[1], (void *)8, 3, 0));
    struct timeval timeout = {0, 20000};
    SHOW(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout));
    SHOW(recv(fds[0], control, 3, 0));
}

int main(void) {
    alarm(30);
    signal(SIGPIPE, SIG_IGN);
    enter_directory();
    pairs();
    listening(false);
    listening(true);
    datagrams();
    passing();
    edges();
    check_leave();
    return 0;
}
