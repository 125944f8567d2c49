#include "jail/log.h"

#include "base/text.h"

#define LINE_PATIENCE SECOND_NS

/* Ends a record with what the line holds. */
static void end_record(struct log *log, enum log_stream stream, char tag) {
    struct log_line *line = &log->lines[stream];
    char head[CLOCK_TEXT_SIZE + 16];
    int size = format(head, sizeof head, "%s %s %c ", log->file.time,
                      stream == LOG_STDOUT ? "stdout" : "stderr", tag);
    log_file_add(&log->file, head, (u32)size, line->text, line->held);
    line->held = 0;
}

void log_write(struct log *log, enum log_stream stream, const u8 *data, u32 size) {
    struct log_line *line = &log->lines[stream];
    const u8 *end = data + size;
    if (log->file.directory < 0)
        return;
    u64 now = clock_monotonic();
    clock_text(clock_realtime(), log->file.time);
    while (data < end) {
        const u8 *newline = memchr(data, '\n', (size_t)(end - data));
        u64 rest = (u64)((newline ? newline : end) - data);
        u32 part = (u32)min_u64(rest, KW_LOG_TEXT_MAX - line->held);
        if (line->held == 0)
            line->since = now;
        memcpy(line->text + line->held, data, part);
        line->held += part;
        data += part;
        if (newline && data == newline) {
            end_record(log, stream, 'F');
            data++;
        } else if (line->held == KW_LOG_TEXT_MAX) {
            end_record(log, stream, 'P');
        }
    }
    log_file_flush(&log->file);
}

u64 log_deadline(const struct log *log) {
    u64 deadline = 0;
    for (u32 i = 0; i < LOG_STREAMS; i++)
        if (log->lines[i].held > 0)
            deadline = earliest(deadline, log->lines[i].since + LINE_PATIENCE);
    return deadline;
}

void log_flush(struct log *log, u64 now) {
    if (log->file.directory < 0)
        return;
    clock_text(clock_realtime(), log->file.time);
    for (u32 i = 0; i < LOG_STREAMS; i++)
        if (log->lines[i].held > 0 && log->lines[i].since + LINE_PATIENCE <= now)
            end_record(log, (enum log_stream)i, 'P');
    log_file_flush(&log->file);
}
