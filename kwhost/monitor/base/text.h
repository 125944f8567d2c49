/* Memory, strings and text formatting: what the monitor needs of a C library, and no more. */
#ifndef KW_BASE_TEXT_H
#define KW_BASE_TEXT_H

#include <stdarg.h>

#include "base/types.h"

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);
void *memchr(const void *text, int byte, size_t size);
size_t strlen(const char *text);
size_t strnlen(const char *text, size_t limit);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t limit);
char *strchr(const char *text, int byte);
char *strrchr(const char *text, int byte);
char *strstr(const char *text, const char *part);

/* True when text begins with prefix. */
bool has_prefix(const char *text, const char *prefix);

/* Formats into to[size], always NUL-terminated. Understands %s %.Ns %.*s %c %d %u %x %o with flags
 * 0 and a width, the lengths l, ll and z, and %%. Returns the length the whole text would have had.
 */
int format(char *to, size_t size, const char *pattern, ...) PRINTF(3, 4);
int format_list(char *to, size_t size, const char *pattern, va_list args);

/* A growing text buffer over caller's memory; `overflow` is set when something did not fit. */
struct text {
    char *data;
    size_t size, length;
    bool overflow;
};
void text_add(struct text *text, const char *pattern, ...) PRINTF(2, 3);

/* Parses an unsigned decimal number at the whole of `text`. Returns false when it is not one or
 * exceeds `limit`. */
bool parse_decimal(const char *text, u64 limit, u64 *value);

/* Whether a path is absolute, short enough, and made of plain names: what is walked or made step by
 * step must not lead upwards. */
bool is_plain_path(const char *path);

#endif
