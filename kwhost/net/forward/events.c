#include "events.h"

#include <errno.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#define BATCH 128

static int epoll_fd = -1;

int events_open(void) {
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    return epoll_fd < 0 ? -errno : 0;
}

int events_wait(int milliseconds) {
    struct epoll_event events[BATCH];
    int count = epoll_wait(epoll_fd, events, BATCH, milliseconds);
    if (count < 0)
        return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < count; i++) {
        struct watch *watch = events[i].data.ptr;
        if (watch->fd >= 0)
            watch->ready(watch, events[i].events);
    }
    return 0;
}

int watch_begin(struct watch *watch, int fd, uint32_t wants) {
    struct epoll_event event = {.events = wants, .data.ptr = watch};
    watch->fd = fd;
    watch->wants = wants;
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0)
        return 0;
    int error = errno;
    close(fd);
    watch->fd = -1;
    return -error;
}

void watch_change(struct watch *watch, uint32_t wants) {
    struct epoll_event event = {.events = wants, .data.ptr = watch};
    if (watch->fd < 0 || watch->wants == wants)
        return;
    watch->wants = wants;
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, watch->fd, &event);
}

void watch_end(struct watch *watch) {
    if (watch->fd < 0)
        return;
    /* Others may hold the same open file, so that closing it alone would not end its events. */
    epoll_ctl(epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    close(watch->fd);
    watch->fd = -1;
}

uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
