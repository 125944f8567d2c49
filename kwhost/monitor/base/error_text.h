/* Errors of the kernel in words. */
#ifndef KW_BASE_ERROR_TEXT_H
#define KW_BASE_ERROR_TEXT_H

/* The text of a negative errno, good until the next call. */
const char *error_text(long error);

#endif
