#include "jail/errors.h"

#include "base/text.h"

bool fail(struct failure *failure, u32 status, long error, const char *pattern, ...) {
    va_list args;
    va_start(args, pattern);
    int length = format_list(failure->text, sizeof failure->text, pattern, args);
    va_end(args);
    failure->status = status;
    if (error < 0 && length >= 0 && (size_t)length < sizeof failure->text)
        format(failure->text + length, sizeof failure->text - (size_t)length, ": %s",
               error_text(error));
    return false;
}

void make_printable(char *text, size_t size) {
    text[size - 1] = 0;
    for (size_t i = 0; i < size && text[i]; i++)
        if ((u8)text[i] < 0x20 || text[i] == 0x7f)
            text[i] = '?';
}
