/* Reading numbers and lines out of the kernel's texts. */
#ifndef KW_PROCFS_SCAN_H
#define KW_PROCFS_SCAN_H

#include "base/text.h"
#include "base/types.h"

/* Splits the next line off: terminates it and moves *rest behind it. NULL at the end. */
static inline char *next_line(char **rest) {
    char *line = *rest, *end;
    if (!*line)
        return NULL;
    end = strchr(line, '\n');
    if (end)
        *end++ = 0;
    else
        end = line + strlen(line);
    *rest = end;
    return line;
}

/* Splits the next part off at `separator`; repeated ones count as one. */
static inline char *next_part(char **rest, char separator) {
    char *part = *rest, *end;
    while (*part == separator)
        part++;
    if (!*part)
        return NULL;
    end = strchr(part, separator);
    if (end)
        *end++ = 0;
    else
        end = part + strlen(part);
    *rest = end;
    return part;
}

static inline u64 scan_number(const char *text, u32 base) {
    u64 value = 0;
    for (;; text++) {
        u32 digit = *text >= '0' && *text <= '9'   ? (u32)(*text - '0')
                    : *text >= 'a' && *text <= 'f' ? (u32)(*text - 'a' + 10)
                                                   : 16;
        if (digit >= base)
            return value;
        value = value * base + digit;
    }
}

#endif
