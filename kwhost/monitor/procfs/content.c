/* Making the text of a place: room for it, and the texts that the host tells as they are. */
#include <linux/mman.h>

#include "base/host.h"
#include "process/thread.h"
#include "procfs/ask.h"
#include "procfs/content.h"
#include "procfs/private.h"

#define ROOM_FIRST (64ul << 10)
#define ROOM_LIMIT (256ul << 20)

void text_put(struct text *text, const void *data, u64 size) {
    if (size > text->size - text->length) {
        text->overflow = true;
        return;
    }
    memcpy(text->data + text->length, data, size);
    text->length += size;
}

void content_free(struct text *text) {
    if (text->data)
        host(__NR_munmap, text->data, text->size);
    text->data = NULL;
}

/* Makers only set `overflow` when there is too little room: they are asked again with more. */
long content_from(const struct place *place, text_maker make, struct text *text) {
    for (u64 size = ROOM_FIRST; size <= ROOM_LIMIT; size *= 4) {
        long data =
            host(__NR_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (host_failed(data))
            return data;
        *text = (struct text){.data = (char *)data, .size = size};
        u64 scratch_used = place->thread->scratch_used;
        long result = make(place, text);
        place->thread->scratch_used = scratch_used;
        if (!result && !text->overflow)
            return 0;
        content_free(text);
        if (result)
            return result;
    }
    return -EFBIG;
}

/* What only another process's monitor can tell. */
static long make_asked(const struct place *place, struct text *text) {
    struct host_text answer;
    long result = ask(place, &answer);
    if (!result)
        text_put(text, answer.data, answer.length);
    host_text_free(&answer);
    return result;
}

long content_make(const struct place *place, struct text *text) {
    bool theirs = !place->own && (place->entry->flags & PLACE_OWN);
    return content_from(place, theirs ? make_asked : place->entry->make, text);
}

long make_real(const struct place *place, struct text *text) {
    struct host_text real;
    long result = host_text_read(place->thread, place->inside, &real);
    if (!result)
        text_put(text, real.data, real.length);
    host_text_free(&real);
    return result;
}
