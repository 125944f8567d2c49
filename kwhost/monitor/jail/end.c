#include "jail/end.h"

#include <asm/signal.h>

#include "base/text.h"
#include "jail/exits.h"
#include "jail/kernel.h"
#include "jail/supervisor.h"

/* The first process's, as if it had met the signal that SIGKILL stood for. */
static int end_status(const struct supervisor *supervisor) {
    u32 status = (u32)supervisor->status;
    bool killed = !status_exited(status) && status_signal(status) == SIGKILL;
    return killed && supervisor->ended_by ? (int)supervisor->ended_by : supervisor->status;
}

static void describe_end(struct supervisor *supervisor, struct kw_message *event) {
    if (supervisor->failure.status) {
        *event = (struct kw_message){.type = KW_EVENT_FAILED, .value = supervisor->failure.status};
        memcpy(event->text, supervisor->failure.text, sizeof event->text);
    } else {
        exit_describe(end_status(supervisor), supervisor->stats, event);
    }
    make_printable(event->text, sizeof event->text);
}

/* The file has the room. The magic number makes the record valid, wherever its writer is killed. */
static void write_record(int fd, struct kw_exit *record) {
    if (fd < 0 || host(__NR_pwrite64, fd, record, sizeof *record, 0) != sizeof *record)
        return;
    record->magic = KW_EXIT_MAGIC;
    host(__NR_pwrite64, fd, &record->magic, sizeof record->magic, 0);
}

/* Before anybody is told, so that it is there for those who then look. */
static void leave_record(struct supervisor *supervisor, const struct kw_message *event) {
    struct kw_exit record = {.version = KW_ABI_VERSION,
                             .size = sizeof record,
                             .started_ns = supervisor->started,
                             .ended_ns = clock_realtime()};
    bool failed = event->type == KW_EVENT_FAILED;
    record.reason = failed ? KW_EXIT_FAILED : KW_EXIT_EXITED;
    *(failed ? &record.failed_status : &record.status) = event->value;
    if (supervisor->hosted && supervisor->hosted->out_of_memory)
        record.reason = KW_EXIT_MEMORY;
    if (supervisor->hosted)
        record.lost_log = supervisor->hosted->log.file.lost_ever;
    memcpy(record.text, event->text, sizeof record.text);
    write_record(supervisor->exit_file, &record);
}

/* A failure that no connection takes goes to standard error. */
void end_report(struct supervisor *supervisor) {
    struct kw_message event;
    char line[KW_ERROR_MAX + 16];
    describe_end(supervisor, &event);
    if (supervisor->hosted)
        hosted_finish(supervisor);
    leave_record(supervisor, &event);
    control_accept(supervisor); /* some may not have been heard yet */
    control_hear(supervisor);   /* nor told that it is too late */
    if (!control_tell(supervisor, &event) && event.type == KW_EVENT_FAILED)
        host(__NR_write, 2, line, format(line, sizeof line, "kwhost: %s\n", event.text));
}
