#include "relay_flow.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROUNDS_A_TURN 16 /* fillings of a pipe before others are served */
#define MOST (1u << 20)
#define LITTLE 4096 /* who sent no more has probably nothing else at hand: no need to ask again */
#define SPARE_MAX 64

static int spare[SPARE_MAX][2]; /* empty pipes */
static unsigned spare_count;

static int take_pipe(struct flow *flow) {
    if (flow->pipe[0] >= 0)
        return 0;
    if (spare_count) {
        spare_count--;
        flow->pipe[0] = spare[spare_count][0];
        flow->pipe[1] = spare[spare_count][1];
        return 0;
    }
    if (pipe2(flow->pipe, O_CLOEXEC | O_NONBLOCK) == 0)
        return 0;
    flow->pipe[0] = flow->pipe[1] = -1;
    return -errno;
}

void flow_end(struct flow *flow) {
    if (flow->pipe[0] >= 0 && !flow->held && spare_count < SPARE_MAX) {
        spare[spare_count][0] = flow->pipe[0];
        spare[spare_count++][1] = flow->pipe[1];
    } else if (flow->pipe[0] >= 0) {
        close(flow->pipe[0]);
        close(flow->pipe[1]);
    }
    flow->pipe[0] = flow->pipe[1] = -1;
    flow->held = 0;
}

/* Both: 1 when something moved, 0 when nothing can for now, or a negative errno. */
static int fill(struct flow *flow, int from) {
    int error = take_pipe(flow);
    if (error)
        return error;
    ssize_t size = splice(from, NULL, flow->pipe[1], NULL, MOST, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (size < 0)
        return errno == EAGAIN ? 0 : -errno;
    flow->ended = size == 0;
    flow->held = (uint32_t)size;
    return 1;
}

static int drain(struct flow *flow, int to) {
    ssize_t size =
        splice(flow->pipe[0], NULL, to, NULL, flow->held, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (size < 0)
        return errno == EAGAIN ? 0 : -errno;
    flow->held -= (uint32_t)size;
    __atomic_fetch_add(flow->count, (uint64_t)size, __ATOMIC_RELAXED);
    return size > 0;
}

static int move(struct flow *flow, int from, int to) {
    int moved = 1;
    for (int i = 0; i < ROUNDS_A_TURN && moved > 0; i++) {
        bool little = false;
        if (!flow->held && !flow->ended) {
            moved = fill(flow, from);
            little = flow->held <= LITTLE;
        }
        if (flow->held && moved > 0)
            moved = drain(flow, to);
        if (!flow->held && (little || flow->ended))
            break;
    }
    return moved < 0 ? moved : 0;
}

int flow_move(struct flow *flow, int from, int to) {
    int error = move(flow, from, to);
    if (!flow->held)
        flow_end(flow);
    if (!error && flow->ended && !flow->held && !flow->shut) {
        flow->shut = true;
        if (shutdown(to, SHUT_WR) < 0 && errno != ENOTCONN)
            return -errno;
    }
    return error;
}
