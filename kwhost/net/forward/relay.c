#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "events.h"
#include "filter.h"
#include "spawn.h"

#define CONNECTIONS_MAX 4096
#define SESSIONS_MAX 1024
#define FDS_OF_CONNECTION 6 /* two sockets and two pipes */
#define FDS_OF_SESSION 2
#define FDS_OTHER 64
#define CALLS_A_TURN 64
#define IDLE_CHECK_MS 5000

struct kw_forward_target relay_target;
struct kw_forward_counts *relay_counts;

static struct watch calls;
static bool ended;

static void calls_arrived(struct watch *watch, uint32_t events) {
    (void)events;
    for (int i = 0; i < CALLS_A_TURN; i++) {
        struct call call;
        struct packet packet = {.head = &call, .head_size = sizeof(call)};
        ssize_t size = packet_receive(watch->fd, &packet);
        if (size == -EAGAIN)
            return;
        if (size != sizeof(call) || call.kind != CALL_CONNECT || packet.fd_count != 1) {
            ended = true; /* the server ended, or does not make sense */
            return;
        }
        relay_call(&call, packet.fds[0]);
    }
}

/* Everything that it may need at once fits below the limit: a pipe is never missing in mid-stream.
 */
static int open_tables(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return -errno;
    uint32_t fds = limit.rlim_cur > 1u << 20 ? 1u << 20 : (uint32_t)limit.rlim_cur;
    uint32_t sessions = fds / 8 / FDS_OF_SESSION;
    sessions = sessions > SESSIONS_MAX ? SESSIONS_MAX : sessions;
    uint32_t taken = FDS_OTHER + sessions * FDS_OF_SESSION;
    if (fds < taken + FDS_OF_CONNECTION)
        return -EMFILE;
    uint32_t connections = (fds - taken) / FDS_OF_CONNECTION;
    int error = relay_calls_open(connections > CONNECTIONS_MAX ? CONNECTIONS_MAX : connections);
    return error ? error : relay_datagrams_open(sessions);
}

static int prepare(void) {
    ssize_t size = recv(RELAY_CALLS, &relay_target, sizeof(relay_target), 0);
    if (size != sizeof(relay_target))
        return size < 0 ? -errno : -EPROTO;
    int error = relay_enter();
    if (error)
        return error;
    void *memory =
        mmap(NULL, sizeof(*relay_counts), PROT_READ | PROT_WRITE, MAP_SHARED, RELAY_COUNTS, 0);
    if (memory == MAP_FAILED)
        return -errno;
    relay_counts = memory;
    close(RELAY_COUNTS);
    error = events_open();
    if (!error)
        error = open_tables();
    calls.ready = calls_arrived;
    if (!error)
        error = watch_begin(&calls, RELAY_CALLS, EPOLLIN);
    return error ? error : filter_set(FILTER_RELAY);
}

static int next_wait(void) {
    int wait = relay_calls_overdue();
    if (relay_counts->open_sessions && (wait < 0 || wait > IDLE_CHECK_MS))
        return IDLE_CHECK_MS;
    return wait;
}

int relay(void) {
    int error = prepare();
    struct call ready = {.kind = CALL_READY, .error = error};
    struct packet packet = {.head = &ready, .head_size = sizeof(ready)};
    packet_send(RELAY_CALLS, &packet);
    while (!error && !ended) {
        error = events_wait(next_wait());
        relay_calls_reclaim();
        relay_datagrams_idle();
    }
    return error;
}
