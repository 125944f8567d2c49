/* What an instance printed, as lines in the format of the Container Runtime Interface:
 * time, stream, F or P, text. After F the program's text has a newline, after P it goes on. */
#ifndef KW_JAIL_LOG_H
#define KW_JAIL_LOG_H

#include "abi/kw_abi.h"
#include "jail/log_file.h"

enum log_stream { LOG_STDOUT, LOG_STDERR, LOG_STREAMS };

struct log_line {
    u32 held;
    u64 since; /* CLOCK_MONOTONIC, when its first byte came */
    u8 text[KW_LOG_TEXT_MAX];
};

/* Zeroed memory, and then log_file_open, is a new one. */
struct log {
    struct log_file file;
    struct log_line lines[LOG_STREAMS];
};

void log_write(struct log *log, enum log_stream stream, const u8 *data, u32 size);

/* When a line without an end has waited long enough; 0: there is none. */
u64 log_deadline(const struct log *log);

/* Writes the lines without an end that waited until `now`; ~0: all. */
void log_flush(struct log *log, u64 now);

#endif
