/* cmdline, environ and auxv: the program's own memory, or what the process table has of others. */
#include "base/host.h"
#include "mm/window.h"
#include "process/load.h"
#include "process/thread.h"
#include "procfs/content.h"
#include "procfs/table.h"

/* Adds guest memory, up to where it cannot be read. */
static void put_guest_memory(struct text *text, gva_t start, gva_t end) {
    while (start < end && !text->overflow) {
        u64 size = min_u64(end - start, PAGE_SIZE - (start & (PAGE_SIZE - 1)));
        if (size > text->size - text->length)
            text->overflow = true;
        else if (copy_from_guest(text->data + text->length, start, size))
            return;
        else
            text->length += size;
        start += size;
    }
}

/* As Linux: a program that overwrote the end of its arguments (to change its title) may have gone
 * on into its environment, up to a NUL. */
static void put_own_cmdline(struct text *text) {
    const struct program_image *image = &program_image;
    char last = 0;
    put_guest_memory(text, image->arguments, image->arguments_end);
    if (image->arguments_end <= image->arguments ||
        copy_from_guest(&last, image->arguments_end - 1, 1) || !last)
        return;
    u64 have = text->length;
    char *end = memchr(text->data, 0, have);
    if (end) {
        text->length = (u64)(end - text->data) + 1;
        return;
    }
    put_guest_memory(text, image->environment, image->environment_end);
    end = memchr(text->data, 0, text->length);
    if (end)
        text->length = (u64)(end - text->data) + 1;
}

long make_cmdline(const struct place *place, struct text *text) {
    if (!place->own)
        return make_real(place, text); /* the monitor was started with the program's arguments */
    put_own_cmdline(text);
    return 0;
}

static long put_from_table(const struct place *place, struct text *text, bool auxv) {
    struct table_entry *entry = scratch_take(place->thread, sizeof(*entry));
    if (!entry)
        return -ENOMEM;
    if (!table_read(place->pid, entry))
        return 0; /* as a process that has no memory of its own */
    text_put(text, auxv ? (const void *)entry->auxv : entry->environ,
             auxv ? entry->auxv_length : entry->environ_length);
    return 0;
}

long make_environ(const struct place *place, struct text *text) {
    if (!place->own)
        return put_from_table(place, text, false);
    put_guest_memory(text, program_image.environment, program_image.environment_end);
    return 0;
}

long make_auxv(const struct place *place, struct text *text) {
    if (!place->own)
        return put_from_table(place, text, true);
    put_guest_memory(text, program_image.auxv, program_image.auxv + program_image.auxv_size);
    return 0;
}
