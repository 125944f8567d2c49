/* How the steps of a start say what went wrong: a status for the command and one line for people.
 */
#ifndef KW_JAIL_ERRORS_H
#define KW_JAIL_ERRORS_H

#include "abi/kw_abi.h"
#include "base/error_text.h"
#include "base/types.h"

#define STATUS_OWN 125     /* kwhost's own error */
#define STATUS_REFUSED 126 /* found, but cannot be run */
#define STATUS_NOT_FOUND 127

struct failure {
    u32 status; /* 125, 126 or 127 */
    char text[KW_ERROR_MAX];
};

/* Fills in `failure` and returns false, so that a step can `return fail(...)`. `error` is a
 * negative errno whose text is put behind the sentence, or 0. */
bool fail(struct failure *failure, u32 status, long error, const char *pattern, ...) PRINTF(4, 5);

/* Replaces what a terminal could take as a command, also in text that a hostile side wrote. */
void make_printable(char *text, size_t size);

#endif
