/* The standard streams of a hosted instance: its output goes to the log and to every attachment,
 * its input comes from any of them. */
#ifndef KW_JAIL_STREAMS_H
#define KW_JAIL_STREAMS_H

#include "jail/attachment.h"
#include "jail/errors.h"

#define ATTACHMENTS_MAX 8
#define STREAMS_POLLS (LOG_STREAMS + ATTACHMENTS_MAX * (1 + LOG_STREAMS))

/* One of the program's output streams. The next bytes are read when every attachment has taken
 * those held; one that the program does not wait for has until the deadline. */
struct stream {
    int from; /* -1: there is none (any more) */
    u32 held;
    u64 deadline; /* CLOCK_MONOTONIC */
    u8 data[RELAY_SIZE];
};

struct streams {
    struct log *log;
    struct stream outputs[LOG_STREAMS];
    int input;        /* the program's; -1: none */
    bool input_ended; /* and there will be none */
    bool is_terminal;
    struct attachment attachments[ATTACHMENTS_MAX];
    char notice[KW_ERROR_MAX]; /* for everybody to know, to be cleared by its reader; "": nothing */
};

void streams_prepare(struct streams *streams, struct log *log);

/* The program's ends are there; -1: none. Of a terminal, output comes from `out` alone. */
void streams_start(struct streams *streams, int in, int out, int err, bool is_terminal);

/* Takes the descriptors of an attachment over (see attachment_connect). Returns false when there
 * are too many. */
bool streams_attach(struct streams *streams, u32 flags, const int *fds, bool waited_for);

/* What to wait for, and then what to do with the results. */
void streams_wants(struct streams *streams, struct pollfd polls[STREAMS_POLLS]);
void streams_move(struct streams *streams, const struct pollfd polls[STREAMS_POLLS]);

/* When streams_expire has something to do; 0: never. */
u64 streams_deadline(const struct streams *streams);
/* Drops the attachments that were too slow. */
void streams_expire(struct streams *streams, u64 now);

/* From now on the program waits for none of them. */
void streams_hurry(struct streams *streams);

/* No input any more. */
void streams_end_input(struct streams *streams);

/* True when no output is left, and what the log holds of it is all that it gets for now. */
bool streams_are_drained(const struct streams *streams);

#endif
