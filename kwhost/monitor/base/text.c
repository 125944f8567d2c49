#include "base/text.h"

#include <linux/limits.h>

/* `rep movsb` and `rep stosb` are as fast as anything on processors with ERMS, and tiny. */
void *memcpy(void *restrict to, const void *restrict from, size_t size) {
    void *result = to;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
    return result;
}

void *memmove(void *to, const void *from, size_t size) {
    if ((u64)to - (u64)from >= size)
        return memcpy(to, from, size);
    /* The end of `from` lies inside `to`: copy backwards, by words where it can be. */
    u8 *target = to;
    const u8 *source = from;
    while (size >= 8 && (u64)target - (u64)source >= 8) {
        u64 word;
        size -= 8;
        __builtin_memcpy(&word, source + size, 8);
        __builtin_memcpy(target + size, &word, 8);
    }
    while (size-- > 0)
        target[size] = source[size];
    return to;
}

void *memset(void *to, int byte, size_t size) {
    void *result = to;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(byte) : "memory");
    return result;
}

int memcmp(const void *a, const void *b, size_t size) {
    const u8 *left = a, *right = b;
    for (size_t i = 0; i < size; i++)
        if (left[i] != right[i])
            return left[i] - right[i];
    return 0;
}

void *memchr(const void *text, int byte, size_t size) {
    const u8 *bytes = text;
    for (size_t i = 0; i < size; i++)
        if (bytes[i] == (u8)byte)
            return (void *)(bytes + i);
    return NULL;
}

size_t strnlen(const char *text, size_t limit) {
    size_t length = 0;
    while (length < limit && text[length])
        length++;
    return length;
}

size_t strlen(const char *text) {
    size_t length = 0;
    while (text[length]) {
        length++;
        __asm__ volatile(""); /* keeps the compiler from calling strlen for this loop */
    }
    return length;
}

int strncmp(const char *a, const char *b, size_t limit) {
    for (size_t i = 0; i < limit; i++)
        if (a[i] != b[i] || !a[i])
            return (u8)a[i] - (u8)b[i];
    return 0;
}

int strcmp(const char *a, const char *b) {
    return strncmp(a, b, SIZE_MAX);
}

char *strchr(const char *text, int byte) {
    for (;; text++) {
        if (*text == (char)byte)
            return (char *)text;
        if (!*text)
            return NULL;
    }
}

char *strrchr(const char *text, int byte) {
    char *last = NULL;
    for (;; text++) {
        if (*text == (char)byte)
            last = (char *)text;
        if (!*text)
            return last;
    }
}

char *strstr(const char *text, const char *part) {
    size_t length = strlen(part);
    for (;; text++) {
        if (!strncmp(text, part, length))
            return (char *)text;
        if (!*text)
            return NULL;
    }
}

bool has_prefix(const char *text, const char *prefix) {
    return !strncmp(text, prefix, strlen(prefix));
}

/* Where format_list writes: counts on when the buffer is full. */
struct sink {
    char *data;
    size_t size, length;
};

static void put(struct sink *sink, char byte) {
    if (sink->length + 1 < sink->size)
        sink->data[sink->length] = byte;
    sink->length++;
}

static void put_padded(struct sink *sink, const char *text, size_t length, size_t width, char pad) {
    bool signed_zero = pad == '0' && length > 0 && *text == '-';
    if (signed_zero) {
        put(sink, '-');
        text++, length--;
        width = width ? width - 1 : 0;
    }
    for (size_t i = length; i < width; i++)
        put(sink, pad);
    for (size_t i = 0; i < length; i++)
        put(sink, text[i]);
}

static void put_number(struct sink *sink, u64 value, bool negative, u32 base, size_t width,
                       char pad) {
    char digits[24];
    size_t at = sizeof digits;
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    if (negative)
        digits[--at] = '-';
    put_padded(sink, digits + at, sizeof digits - at, width, pad);
}

/* One conversion's modifiers, parsed. */
struct conversion {
    char pad;
    size_t width, precision;
    bool wide; /* l, ll, z: 64 bits */
};

static const char *parse_modifiers(const char *p, struct conversion *c, va_list *args) {
    *c = (struct conversion){.pad = ' ', .precision = SIZE_MAX};
    if (*p == '0')
        c->pad = '0', p++;
    for (; *p >= '0' && *p <= '9'; p++)
        c->width = c->width * 10 + (size_t)(*p - '0');
    if (p[0] == '.' && p[1] == '*') {
        int precision = va_arg(*args, int);
        c->precision = precision < 0 ? SIZE_MAX : (size_t)precision;
        p += 2;
    } else if (p[0] == '.') {
        c->precision = 0;
        for (p++; *p >= '0' && *p <= '9'; p++)
            c->precision = c->precision * 10 + (size_t)(*p - '0');
    }
    for (; *p == 'l' || *p == 'z'; p++)
        c->wide = true;
    return p;
}

static void convert(struct sink *sink, char kind, const struct conversion *c, va_list *args) {
    if (kind == 's') {
        const char *text = va_arg(*args, const char *);
        text = text ? text : "(none)";
        put_padded(sink, text, strnlen(text, c->precision), c->width, ' ');
    } else if (kind == 'c') {
        put(sink, (char)va_arg(*args, int));
    } else if (kind == 'd') {
        s64 value = c->wide ? va_arg(*args, long) : va_arg(*args, int);
        put_number(sink, value < 0 ? -(u64)value : (u64)value, value < 0, 10, c->width, c->pad);
    } else if (kind == 'u' || kind == 'x' || kind == 'o') {
        u64 value = c->wide ? va_arg(*args, unsigned long) : va_arg(*args, unsigned);
        put_number(sink, value, false, kind == 'x' ? 16 : kind == 'o' ? 8 : 10, c->width, c->pad);
    } else {
        put(sink, kind); /* %% */
    }
}

int format_list(char *to, size_t size, const char *pattern, va_list args) {
    struct sink sink = {to, size, 0};
    va_list copy;
    va_copy(copy, args);
    for (const char *p = pattern; *p; p++) {
        if (*p != '%') {
            put(&sink, *p);
            continue;
        }
        struct conversion c;
        p = parse_modifiers(p + 1, &c, &copy);
        if (!*p)
            break;
        convert(&sink, *p, &c, &copy);
    }
    va_end(copy);
    if (size > 0)
        to[sink.length < size ? sink.length : size - 1] = 0;
    return (int)sink.length;
}

int format(char *to, size_t size, const char *pattern, ...) {
    va_list args;
    va_start(args, pattern);
    int length = format_list(to, size, pattern, args);
    va_end(args);
    return length;
}

void text_add(struct text *text, const char *pattern, ...) {
    va_list args;
    va_start(args, pattern);
    size_t room = text->size - text->length;
    size_t length = (size_t)format_list(text->data + text->length, room, pattern, args);
    va_end(args);
    if (length >= room) {
        text->overflow = true;
        length = room ? room - 1 : 0;
    }
    text->length += length;
}

bool parse_decimal(const char *text, u64 limit, u64 *value) {
    u64 number = 0;
    if (!*text)
        return false;
    for (; *text; text++) {
        u64 digit = (u64)(*text - '0');
        if (digit > 9 || digit > limit || number > (limit - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *value = number;
    return true;
}

bool is_plain_path(const char *path) {
    if (!path || path[0] != '/' || strlen(path) >= PATH_MAX)
        return false;
    for (const char *name = path + 1; *name;) {
        const char *end = strchr(name, '/');
        size_t length = end ? (size_t)(end - name) : strlen(name);
        if (length == 0 || (length == 1 && name[0] == '.') ||
            (length == 2 && name[0] == '.' && name[1] == '.'))
            return false;
        name += length + (end ? 1 : 0);
    }
    return true;
}
