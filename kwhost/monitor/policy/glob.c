/* Globs, matched by following all possibilities at once: a set of places in the pattern, moved on
 * by each byte of the path. Nothing is tried again, so no path makes it slow. */
#include "policy/glob.h"
#include "base/text.h"

/* Places 0 to 255 in a pattern; that of its length is its end. */
struct places {
    u64 bits[4];
};

static bool is_deep(const char *pattern, u32 length, u32 at) {
    return at + 1 < length && pattern[at] == '*' && pattern[at + 1] == '*';
}

/* Adds a place, and those that are reached from there by nothing. */
static void add(struct places *places, const char *pattern, u32 length, u32 at) {
    for (;;) {
        places->bits[at / 64 & 3] |= 1ul << at % 64;
        if (at >= length)
            return;
        if (is_deep(pattern, length, at))
            at += 2;
        else if (pattern[at] == '*')
            at += 1;
        else if (pattern[at] == '/' && is_deep(pattern, length, at + 1))
            at += 3;
        else
            return;
    }
}

/* Where the byte leads from one place. */
static void move(struct places *to, const char *pattern, u32 length, u32 at, char byte) {
    if (at >= length)
        return;
    char wanted = pattern[at];
    if (wanted == '*') {
        if (byte != '/' || is_deep(pattern, length, at))
            add(to, pattern, length, at);
    } else if (wanted == '?') {
        if (byte != '/')
            add(to, pattern, length, at + 1);
    } else if (wanted == '\\' && at + 1 < length) {
        if (byte == pattern[at + 1])
            add(to, pattern, length, at + 2);
    } else if (byte == wanted) {
        add(to, pattern, length, at + 1);
    }
}

static void move_all(struct places *places, const char *pattern, u32 length, char byte) {
    struct places next = {{0}};
    for (u32 word = 0; word < array_size(places->bits); word++)
        for (u64 left = places->bits[word]; left; left &= left - 1)
            move(&next, pattern, length, word * 64 + (u32)__builtin_ctzl(left), byte);
    *places = next;
}

static bool is_empty(const struct places *places) {
    return !(places->bits[0] | places->bits[1] | places->bits[2] | places->bits[3]);
}

static bool has(const struct places *places, u32 at) {
    return places->bits[at / 64 & 3] >> at % 64 & 1;
}

static struct places follow(const char *pattern, u32 length, const char *path) {
    struct places places = {{0}};
    add(&places, pattern, length, 0);
    for (; *path && !is_empty(&places); path++)
        move_all(&places, pattern, length, *path);
    return places;
}

bool glob_matches(const char *pattern, u32 length, const char *path) {
    struct places places = follow(pattern, length, path);
    return has(&places, length);
}

bool glob_differs_beneath(const char *pattern, u32 length, const char *path) {
    struct places places = follow(pattern, length, path);
    move_all(&places, pattern, length, '/');
    /* All that is beneath "/a" matches where the pattern ends with two asterisks already reached.
     */
    if (length >= 2 && has(&places, length - 2) && is_deep(pattern, length, length - 2))
        return false;
    return !is_empty(&places);
}
