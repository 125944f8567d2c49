/* link: jail/relay.c base/text.c */
/* Input and output between the command and an instance: nothing is lost, nothing waits. */
#include "jail/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

static u8 buffer[RELAY_SIZE];

struct ends {
    int in[2], out[2]; /* pipes: the relay reads in[0] and writes out[1] */
};

static struct ends new_ends(void) {
    struct ends ends;
    CHECK_EQUAL(0, pipe(ends.in));
    CHECK_EQUAL(0, pipe(ends.out));
    return ends;
}

static void close_all(struct ends *ends) {
    for (int i = 0; i < 2; i++) {
        close(ends->in[i]);
        close(ends->out[i]);
    }
}

static int is_open(int fd) {
    return fcntl(fd, F_GETFD) >= 0;
}

static void test_output_reaches_a_pipe(void) {
    struct ends ends = new_ends();
    struct relay relay;
    char text[8] = "";
    relay_from_instance(&relay, ends.in[0], ends.out[1], false, buffer);
    CHECK_EQUAL(5, write(ends.in[1], "hello", 5));
    CHECK_EQUAL(ends.in[0], relay_wants(&relay).fd);
    relay_move(&relay);
    CHECK_EQUAL(5, read(ends.out[0], text, sizeof text));
    CHECK_TEXT("hello", text);
    CHECK(relay_is_drained(&relay) && !relay.ended); /* open, but with nothing in it */
    close(ends.in[1]);
    CHECK(!relay_is_drained(&relay));
    relay_move(&relay);
    CHECK(relay.ended && relay_is_drained(&relay));
    CHECK(!is_open(ends.in[0]) && is_open(ends.out[1]));
    CHECK_EQUAL(-1, relay_wants(&relay).fd);
    close_all(&ends);
}

/* Moves until nothing moves any more; returns what arrived. */
static long pump(struct relay *relay, int from) {
    static char sink[1 << 16];
    long total = 0, got;
    for (int idle = 0; idle < 3; idle++) {
        relay_move(relay);
        fcntl(from, F_SETFL, O_NONBLOCK);
        while ((got = read(from, sink, sizeof sink)) > 0) {
            total += got;
            idle = 0;
        }
    }
    return total;
}

static void test_a_full_reader_is_waited_for(bool to_socket) {
    struct ends ends = new_ends();
    struct relay relay;
    static char block[4096];
    int pair[2];
    CHECK_EQUAL(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    int to = to_socket ? pair[1] : ends.out[1], from = to_socket ? pair[0] : ends.out[0];
    long written = 0, got;
    relay_from_instance(&relay, ends.in[0], to, false, buffer);
    fcntl(ends.in[1], F_SETFL, O_NONBLOCK);
    for (int i = 0; i < 200 && !relay.full; i++) {
        while ((got = write(ends.in[1], block, sizeof block)) > 0)
            written += got;
        relay_move(&relay);
    }
    CHECK(relay.full);
    CHECK_EQUAL(to, relay_wants(&relay).fd);
    CHECK_EQUAL(POLLOUT, relay_wants(&relay).events);
    CHECK(!relay_is_drained(&relay));
    close(ends.in[1]);
    CHECK_EQUAL(written, pump(&relay, from));
    CHECK(relay.ended);
    close(pair[0]);
    close(pair[1]);
    close_all(&ends);
}

static void test_a_reader_that_leaves_ends_it(void) {
    struct ends ends = new_ends();
    struct relay relay;
    relay_from_instance(&relay, ends.in[0], ends.out[1], false, buffer);
    close(ends.out[0]);
    CHECK_EQUAL(1, write(ends.in[1], "x", 1));
    relay_move(&relay);
    CHECK(relay.ended);
    CHECK(!is_open(ends.in[0])); /* the instance gets a broken pipe */
    CHECK_EQUAL(0, relay.lost);  /* nobody wanted it */
    close_all(&ends);
}

static void test_a_full_device_loses_output(void) {
    struct ends ends = new_ends();
    struct relay relay;
    int full = open("/dev/full", O_WRONLY);
    relay_from_instance(&relay, ends.in[0], full, false, buffer);
    CHECK_EQUAL(1, write(ends.in[1], "x", 1));
    relay_move(&relay);
    CHECK(relay.ended && !is_open(ends.in[0]));
    CHECK_EQUAL(-ENOSPC, relay.lost);
    close(full);
    close_all(&ends);
}

static void test_input_from_a_file_ends(void) {
    struct ends ends = new_ends();
    struct relay relay;
    char text[64];
    int file = open("/proc/self/comm", O_RDONLY);
    relay_to_instance(&relay, file, ends.out[1], false, buffer);
    CHECK(!relay.splices);
    relay_move(&relay);
    CHECK(read(ends.out[0], text, sizeof text) > 0);
    relay_move(&relay);
    CHECK(relay.ended && !is_open(ends.out[1]) && is_open(file));
    close(file);
    close_all(&ends);
}

static void test_end_of_input_is_a_key_on_a_terminal(void) {
    struct ends ends = new_ends();
    struct relay relay;
    char text[8];
    relay_to_instance(&relay, ends.in[0], ends.out[1], true, buffer);
    CHECK_EQUAL(2, write(ends.in[1], "hi", 2));
    close(ends.in[1]);
    relay_move(&relay);
    relay_move(&relay);
    CHECK_EQUAL(3, read(ends.out[0], text, sizeof text));
    CHECK(memcmp(text, "hi\4", 3) == 0);
    CHECK(relay.ended && is_open(ends.out[1])); /* output still comes through the master */
    close_all(&ends);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    test_output_reaches_a_pipe();
    test_a_full_reader_is_waited_for(false);
    test_a_full_reader_is_waited_for(true);
    test_a_reader_that_leaves_ends_it();
    test_a_full_device_loses_output();
    test_input_from_a_file_ends();
    test_end_of_input_is_a_key_on_a_terminal();
    return check_done();
}
