#include "jail/hosted.h"

#include <asm/signal.h>
#include <linux/mman.h>

#include "base/text.h"
#include "jail/kernel.h"
#include "jail/supervisor.h"

/* Nobody's terminal or pipe is held on to. The caller's own ones become the first attachment, which
 * loses nothing. */
static void leave_stdio(struct supervisor *supervisor) {
    int fds[3];
    u32 flags = KW_ATTACH_STDIN | KW_ATTACH_OUTPUT | KW_ATTACH_CLOSE_STDIN, first = 0;
    if (!launch_is(&supervisor->launch, KW_LAUNCH_STDIN)) {
        flags = KW_ATTACH_OUTPUT;
        first = 1;
    } else if (launch_is(&supervisor->launch, KW_LAUNCH_TTY)) {
        flags &= ~(u32)KW_ATTACH_CLOSE_STDIN; /* whoever lets go of a terminal may come back */
    }
    if (launch_is(&supervisor->launch, KW_LAUNCH_ATTACHED)) {
        for (u32 i = first; i < 3; i++)
            fds[i] = (int)host(__NR_fcntl, i, F_DUPFD_CLOEXEC, 3);
        streams_attach(&supervisor->hosted->streams, flags, fds + first, true);
    }
    long null = host(__NR_openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0);
    for (int i = 0; i < 3; i++)
        host(__NR_dup3, null, i, O_CLOEXEC);
    host(__NR_close, null);
}

bool hosted_prepare(struct supervisor *supervisor) {
    const struct kw_launch *record = supervisor->launch.record;
    long memory = host(__NR_mmap, 0, page_up(sizeof(struct hosted)), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (host_failed(memory))
        return fail(&supervisor->failure, STATUS_OWN, memory, "memory for input and output");
    struct hosted *hosted = supervisor->hosted = (struct hosted *)memory;
    for (u32 i = 0; i < JOIN_FDS; i++)
        hosted->join[i] = -1;
    hosted->joined.joiner = -1;
    log_file_open(&hosted->log.file, record->log_dir_fd, record->log_size, record->log_files);
    streams_prepare(&hosted->streams, &hosted->log);
    leave_stdio(supervisor);
    return joined_prepare(&hosted->joined, &supervisor->failure);
}

/* What everybody is to know about the log and the attachments. */
static void report(struct supervisor *supervisor) {
    struct hosted *hosted = supervisor->hosted;
    struct kw_message event = {.type = KW_EVENT_NOTICE};
    if (hosted->streams.notice[0]) {
        memcpy(event.text, hosted->streams.notice, sizeof event.text);
        control_tell(supervisor, &event);
        hosted->streams.notice[0] = 0;
    }
    if (hosted->log.file.lost_ever && !hosted->told_loss) {
        hosted->told_loss = true;
        format(event.text, sizeof event.text, "lines of the log were lost: %s",
               error_text(hosted->log.file.error));
        control_tell(supervisor, &event);
    }
    control_tell_logged(supervisor);
}

static void end_out_of_memory(struct supervisor *supervisor, u64 used) {
    struct kw_message event = {.type = KW_EVENT_MEMORY};
    supervisor->hosted->out_of_memory = true;
    supervisor->hosted->resident.next = 0;
    supervisor_signal(supervisor, SIGKILL);
    format(event.text, sizeof event.text, "about %lu MiB of memory are resident, the limit is %lu",
           (unsigned long)(used >> 20), (unsigned long)(supervisor->hosted->resident.limit >> 20));
    control_tell(supervisor, &event);
}

u64 hosted_keep_time(struct supervisor *supervisor, u64 now) {
    struct hosted *hosted = supervisor->hosted;
    u64 used = supervisor->exited ? 0 : resident_check(&hosted->resident, hosted->join[JOIN_PROC]);
    if (used)
        end_out_of_memory(supervisor, used);
    u64 log = log_deadline(&hosted->log);
    if (log && now >= log)
        log_flush(&hosted->log, now);
    streams_expire(&hosted->streams, now);
    report(supervisor);
    u64 next = earliest(log_deadline(&hosted->log), streams_deadline(&hosted->streams));
    next = earliest(next, joined_expire(&hosted->joined, now));
    return supervisor->exited ? next : earliest(next, hosted->resident.next);
}

void hosted_finish(struct supervisor *supervisor) {
    log_flush(&supervisor->hosted->log, ~0ul);
    report(supervisor);
}
