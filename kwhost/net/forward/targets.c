#include "targets.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ports.h"
#include "spawn.h"

#define OF(watch, member) ((struct target *)((char *)(watch)-offsetof(struct target, member)))
#define REPLIES_A_TURN 16 /* what one relay may say before others are heard */

static struct target targets[KW_FORWARD_TARGETS_MAX];
static void (*relay_lost)(void);

void targets_open(void (*lost)(void)) {
    relay_lost = lost;
}

/* Tell who waits for the relay, once, how its start went. */
static void say_started(struct target *target, int error) {
    void (*started)(struct target *, int) = target->started;
    target->started = NULL;
    if (started)
        started(target, error);
}

/* The relay ends; the target stays, so that LIST tells. SIGKILL, as it may hang. */
static void end_relay(struct target *target, int error) {
    if (target->relay >= 0) {
        syscall(SYS_pidfd_send_signal, target->relay, SIGKILL, NULL, 0);
        close(target->relay);
        target->relay = -1;
    }
    watch_end(&target->calls);
    watch_end(&target->datagrams);
    watch_end(&target->process);
    target->ready = target->full = target->must_end = false;
    say_started(target, error);
    ports_try_held();
}

static void handle_reply(struct target *target, struct packet *packet, size_t size) {
    const struct call *call = packet->head;
    if (size == sizeof(*call) && call->kind == CALL_READY && !target->ready) {
        target->ready = !call->error;
        if (call->error)
            end_relay(target, call->error);
        else
            say_started(target, 0);
    } else if (size == sizeof(*call) && call->kind == CALL_REFUSED && packet->fd_count == 1) {
        packet->fd_count = 0;
        ports_retry(call, packet->fds[0]);
    }
    packet_close(packet);
}

static void calls_ready(struct watch *watch, uint32_t events) {
    struct target *target = OF(watch, calls);
    struct call call;
    struct packet packet = {.head = &call, .head_size = sizeof(call)};
    if (events & EPOLLOUT) {
        target->full = false;
        watch_change(watch, EPOLLIN);
        ports_try_held();
    }
    for (int i = 0; i < REPLIES_A_TURN && watch->fd >= 0; i++) {
        ssize_t size = packet_receive(watch->fd, &packet);
        if (size == -EAGAIN)
            return;
        if (size <= 0) {
            end_relay(target, -ECHILD);
            if (target->used)
                relay_lost();
            return;
        }
        handle_reply(target, &packet, (size_t)size);
    }
}

static int send_end(struct target *target, uint32_t serial) {
    struct datagram end = {.kind = DATAGRAMS_END, .serial = serial};
    struct packet packet = {.head = &end, .head_size = sizeof(end)};
    return packet_send(target->datagrams.fd, &packet);
}

static void datagrams_ready(struct watch *watch, uint32_t events) {
    struct target *target = OF(watch, datagrams);
    if (events & (EPOLLERR | EPOLLHUP)) {
        watch_change(watch, EPOLLET); /* the other channel tells that the relay ended */
    } else if (target->must_end && send_end(target, 0) == 0) {
        target->must_end = false;
        watch_change(watch, 0);
    }
}

static void process_ready(struct watch *watch, uint32_t events) {
    (void)events;
    target_remove(OF(watch, process)); /* the instance has ended */
}

static struct target *find_free(void) {
    for (uint32_t i = 0; i < KW_FORWARD_TARGETS_MAX; i++)
        if (!targets[i].used)
            return &targets[i];
    return NULL;
}

static bool is_wanted(const struct target *target, const struct kw_forward_target *wanted) {
    return target_is_alive(target) && memcmp(&target->record, wanted, sizeof(*wanted)) == 0;
}

/* Take what the relay was started with; on failure it is all ended. */
static int take_ends(struct target *target, const struct relay_ends *ends, int process) {
    target->relay = ends->process;
    target->counts = ends->counts;
    int error = watch_begin(&target->calls, ends->calls, EPOLLIN);
    int second = watch_begin(&target->datagrams, ends->datagrams, 0);
    error = error ? error : second;
    if (!error && process >= 0) {
        int copy = dup(process);
        error = copy < 0 ? -errno : watch_begin(&target->process, copy, EPOLLIN);
    }
    return error;
}

/* What is told of a target and compared: without anything behind the name's end. */
static int describe(const struct kw_forward_target *wanted, int namespace_fd,
                    struct kw_forward_target *record) {
    struct stat stat;
    if (fstat(namespace_fd, &stat) < 0)
        return -errno;
    *record = *wanted;
    memset(record->name, 0, sizeof(record->name));
    memcpy(record->name, wanted->name, strlen(wanted->name));
    record->namespace_device = stat.st_dev;
    record->namespace_inode = stat.st_ino;
    record->alive = 0;
    return 0;
}

int target_put(const struct kw_forward_target *wanted, int namespace_fd, int process,
               void (*started)(struct target *target, int error), struct target **result) {
    struct kw_forward_target record;
    struct relay_ends ends;
    int error = describe(wanted, namespace_fd, &record);
    if (error)
        return error;
    struct target *target = target_find(record.name);
    if (target && is_wanted(target, &record))
        return 0;
    if (target)
        target_remove(target);
    target = find_free();
    if (!target)
        return -ENOSPC;
    error = spawn_relay(&record, namespace_fd, &ends);
    if (error)
        return error;
    *target = (struct target){.calls = {-1, 0, calls_ready},
                              .datagrams = {-1, 0, datagrams_ready},
                              .process = {-1, 0, process_ready},
                              .used = true,
                              .record = record};
    error = take_ends(target, &ends, process);
    if (error) {
        target_remove(target);
        return error;
    }
    target->started = started;
    *result = target;
    return 1;
}

struct target *target_find(const char *name) {
    for (uint32_t i = 0; i < KW_FORWARD_TARGETS_MAX; i++)
        if (targets[i].used && strcmp(targets[i].record.name, name) == 0)
            return &targets[i];
    return NULL;
}

struct target *target_at(uint32_t *index) {
    for (; *index < KW_FORWARD_TARGETS_MAX; ++*index)
        if (targets[*index].used)
            return &targets[*index];
    return NULL;
}

uint16_t target_place(const struct target *target) {
    return (uint16_t)(target - targets);
}

void target_remove(struct target *target) {
    target->used = false;
    end_relay(target, -ECANCELED);
    unmap_counts(target->counts);
    target->counts = NULL;
}

void targets_remove_all(void) {
    for (uint32_t i = 0; i < KW_FORWARD_TARGETS_MAX; i++)
        if (targets[i].used)
            target_remove(&targets[i]);
}

bool target_is_alive(const struct target *target) {
    return target->calls.fd >= 0;
}

bool targets_have_lost(void) {
    for (uint32_t i = 0; i < KW_FORWARD_TARGETS_MAX; i++)
        if (targets[i].used && !target_is_alive(&targets[i]))
            return true;
    return false;
}

void target_counts(const struct target *target, struct kw_forward_counts *counts) {
    *counts = *target->counts;
    counts->dropped += target->dropped;
    if (!target_is_alive(target))
        counts->open_connections = counts->open_sessions = 0;
}

uint64_t targets_open_connections(void) {
    struct kw_forward_counts counts;
    uint64_t total = 0;
    for (uint32_t i = 0; i < KW_FORWARD_TARGETS_MAX; i++)
        if (targets[i].used) {
            target_counts(&targets[i], &counts);
            total += counts.open_connections;
        }
    return total;
}

int target_call(struct target *target, const struct call *call, int client) {
    struct call copy = *call;
    struct packet packet = {
        .head = &copy, .head_size = sizeof(copy), .fds = {client}, .fd_count = 1};
    if (!target->ready)
        return -ENOTCONN;
    int error = target->full ? -EAGAIN : packet_send(target->calls.fd, &packet);
    if (error == -EAGAIN) {
        target->full = true;
        watch_change(&target->calls, EPOLLIN | EPOLLOUT);
    }
    return error;
}

void target_datagram(struct target *target, struct packet *packet) {
    if (target->must_end || packet_send(target->datagrams.fd, packet) < 0)
        target->dropped++;
}

void targets_end_sessions(uint32_t serial) {
    for (uint32_t i = 0; i < KW_FORWARD_TARGETS_MAX; i++) {
        struct target *target = &targets[i];
        if (target->used && target->datagrams.fd >= 0 && send_end(target, serial) == -EAGAIN) {
            target->must_end = true;
            watch_change(&target->datagrams, EPOLLOUT);
        }
    }
}
