/* See script.h. The splitting follows Linux to the byte: one optional argument that keeps its inner
 * blanks, trailing blanks cut, a line that runs past the buffer accepted only when the
 * interpreter's own name is known to be whole. */
#include "process/script.h"

#include <linux/errno.h>

#include "base/text.h"

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

/* First byte of [from, last] that is no blank; NULL when all are. */
static char *skip_blanks(char *from, char *last) {
    for (; from <= last; from++)
        if (!is_blank(*from))
            return from;
    return NULL;
}

/* First blank or NUL in [from, last]; NULL when there is none. */
static char *find_end(char *from, char *last) {
    for (; from <= last; from++)
        if (is_blank(*from) || *from == 0)
            return from;
    return NULL;
}

bool is_script(const void *head, u64 size) {
    const char *text = head;
    return size >= 2 && text[0] == '#' && text[1] == '!';
}

int script_parse(struct script_line *line, const void *head, u64 size) {
    memset(line, 0, sizeof(*line));
    memcpy(line->text, head, min_u64(size, SCRIPT_HEAD));
    char *start = line->text + 2, *last = line->text + SCRIPT_HEAD - 1;
    /* A NUL before the newline hides it: the line is then as long as the buffer. */
    char *end = memchr(line->text, '\n', strnlen(line->text, SCRIPT_HEAD - 1) + 1);
    if (!end) {
        char *name = skip_blanks(start, last);
        if (!name || !find_end(name, last))
            return -ENOEXEC;
        end = last;
    }
    while (is_blank(end[-1]))
        end--;
    char *name = skip_blanks(start, end);
    if (!name || name == end)
        return -ENOEXEC;
    char *separator = find_end(name, end);
    if (separator && *separator)
        line->argument = skip_blanks(separator, end);
    *end = 0;
    if (line->argument)
        *separator = 0;
    line->interpreter = name;
    return 0;
}

char **script_arguments(char **argv, const struct script_line *line, char *script_path) {
    argv[0] = script_path;
    if (line->argument)
        *--argv = line->argument;
    *--argv = line->interpreter;
    return argv;
}
