/* inotify. */
#include "check.h"
#include <sys/inotify.h>

static int notify;
static void drain(void) {
    char buffer[4096] __attribute__((aligned(8)));
    long got;
    while ((got = read(notify, buffer, sizeof buffer)) > 0)
        for (long at = 0; at < got;) {
            struct inotify_event *event = (void *)(buffer + at);
            printf("watch %d mask %x %s%s\n", event->wd, event->mask,
                   event->cookie ? "cookie " : "", event->len ? event->name : "");
            at += (long)sizeof *event + event->len;
        }
    printf("then %s\n", error_name(errno));
}

int main(void) {
    enter_directory();
    SHOW(inotify_init1(0x10));
    notify = MUST(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    MUST(mkdir("d", 0755));
    write_file("d/old", "x");
    SHOW(inotify_add_watch(notify, "d", IN_ALL_EVENTS));
    SHOW(inotify_add_watch(notify, "missing", IN_ALL_EVENTS));
    SHOW(inotify_add_watch(notify, "d", 0));
    SHOW(inotify_add_watch(0, "d", IN_CREATE));
    SHOW(inotify_add_watch(notify, NULL, IN_CREATE));
    SHOW(inotify_add_watch(notify, "d/old", IN_ONLYDIR | IN_CREATE));
    SHOW(inotify_add_watch(notify, "d/old", IN_DELETE_SELF | IN_ATTRIB));
    drain();
    write_file("d/new", "text");
    drain();
    MUST(rename("d/new", "d/newer"));
    drain();
    MUST(chmod("d/old", 0600));
    MUST(unlink("d/old"));
    drain();
    MUST(mkdir("d/sub", 0700));
    pid_t child = fork_flushed();
    if (!child) {
        MUST(rmdir("d/sub"));
        leave_child(0);
    }
    reap("child", child);
    drain();
    SHOW(inotify_rm_watch(notify, 1));
    SHOW(inotify_rm_watch(notify, 1));
    drain();
    check_leave();
    return 0;
}
