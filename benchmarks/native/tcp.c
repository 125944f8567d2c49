/* tcp serve PORT: answers clients one after the other: to each request, a number, with so many
 * bytes. tcp ask ADDRESS PORT REQUESTS CONNECTIONS MEBIBYTES: what such a server's answers take. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "measure.h"

#define SMALL 100
#define MEBIBYTE (1u << 20)
#define IN_PIECE 50 /* requests */

static char buffer[MEBIBYTE];

static void send_at_once(int peer) {
    int on = 1;
    setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static struct sockaddr_in address_of(const char *host, const char *port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    must(inet_pton(AF_INET, host, &address.sin_addr) == 1, "address");
    return address;
}

static void answer(int peer) {
    uint32_t wanted;
    send_at_once(peer);
    while (recv(peer, &wanted, sizeof wanted, MSG_WAITALL) == sizeof wanted)
        for (ssize_t sent; wanted; wanted -= (uint32_t)sent) {
            size_t size = wanted < sizeof buffer ? wanted : sizeof buffer;
            sent = send(peer, buffer, size, MSG_NOSIGNAL);
            if (sent <= 0)
                return;
        }
}

static void serve(const char *port) {
    struct sockaddr_in address = address_of("0.0.0.0", port);
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    must(bind(listener, (struct sockaddr *)&address, sizeof address) == 0, "bind");
    must(listen(listener, 128) == 0, "listen");
    for (;;) {
        int peer = accept(listener, NULL, NULL);
        must(peer >= 0, "accept");
        answer(peer);
        close(peer);
    }
}

static int dial(const struct sockaddr_in *address) {
    int peer = socket(AF_INET, SOCK_STREAM, 0);
    must(connect(peer, (const struct sockaddr *)address, sizeof *address) == 0, "connect");
    send_at_once(peer);
    return peer;
}

static void ask(int peer, uint32_t wanted) {
    must(send(peer, &wanted, sizeof wanted, MSG_NOSIGNAL) == sizeof wanted, "send");
    while (wanted) {
        ssize_t size = recv(peer, buffer, sizeof buffer, 0);
        must(size > 0, "recv");
        wanted -= (uint32_t)size;
    }
}

static void measure_requests(const struct sockaddr_in *address, long count) {
    struct pieces pieces = pieces_for((size_t)count / IN_PIECE);
    int peer = dial(address);
    for (long i = 0; i < count / IN_PIECE; i++) {
        uint64_t start = now_ns();
        for (int request = 0; request < IN_PIECE; request++)
            ask(peer, SMALL);
        piece_add(&pieces, (now_ns() - start) / IN_PIECE);
    }
    close(peer);
    tell("ns_per_request", piece_at(&pieces, 0.5));
}

static void measure_connections(const struct sockaddr_in *address, long count) {
    struct pieces pieces = pieces_for((size_t)count);
    for (long i = 0; i < count; i++) {
        uint64_t start = now_ns();
        int peer = dial(address);
        ask(peer, SMALL);
        close(peer);
        piece_add(&pieces, now_ns() - start);
    }
    tell("ns_per_connection", piece_at(&pieces, 0.5));
}

static void measure_stream(const struct sockaddr_in *address, long mebibytes) {
    int peer = dial(address);
    uint64_t start = now_ns();
    ask(peer, (uint32_t)mebibytes * MEBIBYTE);
    tell("ns_per_mib", (double)(now_ns() - start) / (double)mebibytes);
    close(peer);
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "serve") == 0)
        serve(argv[2]);
    must(argc == 7, "six arguments");
    struct sockaddr_in address = address_of(argv[2], argv[3]);
    measure_requests(&address, argument(argc, argv, 4));
    measure_connections(&address, argument(argc, argv, 5));
    measure_stream(&address, argument(argc, argv, 6));
    return 0;
}
