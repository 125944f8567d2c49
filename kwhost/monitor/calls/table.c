#include "calls/call.h"

#include "calls/handlers.h"
#include "calls/table_words.h"

#define CALL(number, text, kind, function, mode, args, words)                                      \
    [number] = {.name = #text,                                                                     \
                .handler = function,                                                               \
                .class = CALL_##kind,                                                              \
                .restart = RESTART_##mode,                                                         \
                .arg = args,                                                                       \
                .note = words},
#define REFUSE(number, text, error, args, words)                                                   \
    [number] = {.name = #text, .class = CALL_REFUSED, .refusal = error, .arg = args, .note = words},

const struct call_entry call_table[CALL_LIMIT] = {
#include "calls/table.def"
};
