/* What a client gave to be connected with a hosted instance's standard streams. */
#ifndef KW_JAIL_ATTACHMENT_H
#define KW_JAIL_ATTACHMENT_H

#include "jail/log.h"
#include "jail/relay.h"

struct attachment {
    bool waited_for;          /* the program waits until it took everything */
    int outputs[LOG_STREAMS]; /* where the program's output goes; -1: nowhere (any more) */
    bool sockets[LOG_STREAMS];
    u32 taken[LOG_STREAMS]; /* bytes of what the stream holds at the moment */
    int input;              /* where input comes from; -1: none */
    bool ends_input;        /* its end is the end of the program's input */
    struct relay relay;     /* of the input, once the program's is there */
};

void attachment_clear(struct attachment *attachment);
bool attachment_is_free(const struct attachment *attachment);

/* Takes the descriptors over: one if KW_ATTACH_STDIN is among the flags, then two if
 * KW_ATTACH_OUTPUT is. Output begins with what the streams hold next. */
void attachment_connect(struct attachment *attachment, u32 flags, const int *fds,
                        const u32 held[LOG_STREAMS]);

/* Begins to pass input on to the program's end `to`. Returns false when there is no memory. */
bool attachment_begin_input(struct attachment *attachment, int to, bool is_terminal);

/* Hands on what is left of the `held` bytes. Returns 0, also while the other side is full, or the
 * negative errno for which the output was dropped. */
long attachment_take(struct attachment *attachment, enum log_stream stream, const u8 *data,
                     u32 held);

void attachment_drop_input(struct attachment *attachment);
void attachment_drop_output(struct attachment *attachment, enum log_stream stream);

#endif
