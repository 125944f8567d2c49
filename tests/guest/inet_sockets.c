/* TCP and UDP over loopback, both families; options, errors, non-blocking connect, raw names. */
#include "check.h"
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

union any {
    struct sockaddr sa;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};
static socklen_t loopback(union any *name, int family) {
    memset(name, 0, sizeof *name);
    name->sa.sa_family = (sa_family_t)family;
    if (family == AF_INET) {
        name->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return sizeof name->v4;
    }
    name->v6.sin6_addr = in6addr_loopback;
    return sizeof name->v6;
}

static void streams(int family) {
    title(family == AF_INET ? "TCP" : "TCP over IPv6");
    union any name, peer;
    socklen_t size = loopback(&name, family), got = sizeof peer;
    int server = socket(family, SOCK_STREAM, 0), client = socket(family, SOCK_STREAM, 0), on = 1,
        value = 0;
    if (server < 0) {
        printf("socket: %s\n", error_name(errno));
        return;
    }
    SHOW(setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on));
    SHOW(bind(server, &name.sa, size));
    SHOW(bind(server, &name.sa, size));
    SHOW(getsockname(server, &name.sa, &got));
    printf("size %u port %d\n", got, name.v4.sin_port != 0);
    SHOW(connect(client, &name.sa, size));
    SHOW(listen(server, 8));
    SHOW(connect(client, &name.sa, size));
    got = sizeof peer;
    int accepted = MUST(accept4(server, &peer.sa, &got, SOCK_NONBLOCK));
    printf("peer size %u family %d\n", got, peer.sa.sa_family == family);
    SHOW(read(accepted, &value, 4));
    SHOW(send(client, "over tcp", 8, 0));
    struct pollfd event = {accepted, POLLIN, 0};
    SHOW(poll(&event, 1, 3000));
    char text[16] = {0};
    SHOW(recv(accepted, text, 16, 0));
    printf("%s\n", text);
    SHOW(setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
    got = sizeof value;
    SHOW(getsockopt(client, IPPROTO_TCP, TCP_NODELAY, &value, &got));
    printf("nodelay %d\n", value != 0);
    SHOW(setsockopt(client, IPPROTO_TCP, 9999, &on, sizeof on));
    SHOW(setsockopt(client, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on));
    SHOW(setsockopt(client, SOL_SOCKET, SO_KEEPALIVE, (void *)8, sizeof on));
    struct linger linger = {1, 0};
    SHOW(setsockopt(accepted, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
    close(accepted);
    SHOW(recv(client, text, 16, 0));
    got = sizeof value;
    SHOW(getsockopt(client, SOL_SOCKET, SO_ERROR, &value, &got));
    close(client);
    client = MUST(socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0));
    close(server);
    connect(client, &name.sa, size);
    event = (struct pollfd){client, POLLOUT, 0};
    poll(&event, 1, 3000);
    got = sizeof value;
    SHOW(getsockopt(client, SOL_SOCKET, SO_ERROR, &value, &got));
    printf("refused %s\n", error_name(value));
    close(client);
}

static void datagrams(int family) {
    title(family == AF_INET ? "UDP" : "UDP over IPv6");
    union any name, from;
    socklen_t size = loopback(&name, family), got = sizeof from;
    int server = socket(family, SOCK_DGRAM, 0), client = socket(family, SOCK_DGRAM, 0);
    if (server < 0) {
        printf("socket: %s\n", error_name(errno));
        return;
    }
    MUST(bind(server, &name.sa, size));
    MUST(getsockname(server, &name.sa, &got));
    char text[8] = {0};
    SHOW(sendto(client, "datagram", 8, 0, &name.sa, size));
    got = sizeof from;
    SHOW(recvfrom(server, text, 4, MSG_TRUNC, &from.sa, &got));
    printf("%.4s from size %u\n", text, got);
    SHOW(connect(server, &from.sa, got));
    SHOW(send(server, "back", 4, 0));
    SHOW(recv(client, text, 8, 0));
    SHOW(sendto(client, text, 70000, 0, &name.sa, size) == -1 ? -errno : 0);
    SHOW(recv(client, text, 8, MSG_DONTWAIT));
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    SHOW(connect(server, &none, sizeof none));
    SHOW(send(server, "x", 1, 0));
    SHOW(sendto(client, "x", 1, 0, &name.sa, 4));
    close(server);
    SHOW(connect(client, &name.sa, size));
    SHOW(send(client, "to nobody", 9, 0));
    poll(&(struct pollfd){client, POLLIN, 0}, 1, 5000);
    SHOW(recv(client, text, 8, MSG_DONTWAIT));
    close(client);
}

static void errors(void) {
    title("errors");
    union any name;
    socklen_t size = loopback(&name, AF_INET);
    int fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
    SHOW(bind(fd, &name.sa, 3));
    SHOW(bind(fd, (struct sockaddr *)8, size));
    SHOW(bind(fd, &name.sa, 1000));
    SHOW(bind(fd, &name.sa, (socklen_t)-1));
    name.v4.sin_addr.s_addr = htonl(0xc0000201);
    SHOW(bind(fd, &name.sa, size));
    SHOW(bind(0, &name.sa, size));
    SHOW(bind(900, &name.sa, size));
    SHOW(listen(0, 5));
    SHOW(getsockname(fd, &name.sa, NULL));
    SHOW(getpeername(fd, &name.sa, &size));
    SHOW(accept(fd, NULL, NULL));
    SHOW(send(fd, "x", 1, MSG_NOSIGNAL));
    SHOW(recv(fd, &size, 1, 0));
    SHOW(shutdown(fd, SHUT_RDWR));
    SHOW(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
    SHOW(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
    SHOW(socket(AF_INET, SOCK_STREAM | 0x1000000, 0));
    name.v4.sin_family = 55;
    SHOW(connect(fd, &name.sa, sizeof name.v4));
    socklen_t length = 4;
    int value = -1;
    SHOW(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &length));
    printf("value %d\n", value);
    length = (socklen_t)-1;
    SHOW(getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &length));
    SHOW(getsockopt(fd, SOL_SOCKET, SO_TYPE, (void *)8, &(socklen_t){4}));
    SHOW(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &value, 0));
    SHOW(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, -4));
}

/* A whole exchange between processes, more than any buffer holds. */
static void exchange(void) {
    title("exchange");
    union any name;
    socklen_t size = loopback(&name, AF_INET);
    int server = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(bind(server, &name.sa, size));
    MUST(getsockname(server, &name.sa, &size));
    MUST(listen(server, 5));
    pid_t child = fork_flushed();
    static char block[1 << 16];
    if (!child) {
        int fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
        MUST(connect(fd, &name.sa, size));
        for (int i = 0; i < 64; i++) {
            memset(block, i, sizeof block);
            for (size_t sent = 0; sent < sizeof block;)
                sent += (size_t)MUST(send(fd, block + sent, sizeof block - sent, 0));
        }
        leave_child(0);
    }
    int fd = MUST(accept(server, NULL, NULL));
    unsigned long total = 0, sum = 0;
    for (long got; (got = recv(fd, block, sizeof block, 0)) > 0; total += (unsigned long)got)
        for (long i = 0; i < got; i++)
            sum += (unsigned char)block[i];
    reap("sender", child);
    printf("total %lu sum %lu\n", total, sum);
}

int main(void) {
    alarm(30);
    streams(AF_INET);
    streams(AF_INET6);
    datagrams(AF_INET);
    datagrams(AF_INET6);
    errors();
    exchange();
    return 0;
}
