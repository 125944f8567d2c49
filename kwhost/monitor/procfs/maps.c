/* maps, smaps and smaps_rollup of the own process. The host's text knows which file lies where, the
 * list of guest mappings what is mapped at all, with which protection, and as what. Only where both
 * speak of the same guest address is anything shown: nothing of the monitor's own memory is. */
#include <linux/mman.h>

#include "base/host.h"
#include "mm/space.h"
#include "mm/window.h"
#include "process/thread.h"
#include "procfs/content.h"
#include "procfs/private.h"
#include "procfs/scan.h"

#define NAME_COLUMN 73 /* where the kernel writes a mapping's name */

/* A copy of the list of guest mappings, and how far a walk in address order has come. */
struct mappings {
    struct mapping *list;
    u64 count, room, next;
};

/* One line of the host's maps, in guest addresses. */
struct area {
    gva_t start, end;
    u64 offset, inode;
    const char *device, *name;
};

/* A line of our own, kept back while its neighbours may extend it. */
struct piece {
    gva_t start, end;
    u64 offset, inode;
    u8 prot;
    bool shared;
    const char *device, *name;
};

static void count_mapping(const struct mapping *mapping, void *context) {
    (void)mapping;
    ((struct mappings *)context)->count++;
}

static void copy_mapping(const struct mapping *mapping, void *context) {
    struct mappings *mappings = context;
    if (mappings->count < mappings->room)
        mappings->list[mappings->count++] = *mapping;
}

/* Memory for the copy is made before the list is walked: making it meanwhile would need the lock.
 */
static long copy_mappings(struct mappings *mappings) {
    *mappings = (struct mappings){0};
    space_each(count_mapping, mappings);
    mappings->room = mappings->count + 64;
    mappings->count = 0;
    long memory = host(__NR_mmap, 0, mappings->room * sizeof(struct mapping),
                       PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (host_failed(memory))
        return memory;
    mappings->list = (struct mapping *)memory;
    space_each(copy_mapping, mappings);
    return 0;
}

static void free_mappings(struct mappings *mappings) {
    if (mappings->list)
        host(__NR_munmap, mappings->list, mappings->room * sizeof(struct mapping));
}

/* Parses "start-end perms offset device inode   name". False for lines that do not lie in the
 * window and for those of smaps that are no such line. Cuts the line up. */
static bool parse_area(char *line, struct area *area) {
    u64 start = scan_number(line, 16);
    char *dash = strchr(line, '-'), *space = strchr(line, ' ');
    if (!dash || !space || dash > space || start >= WINDOW_BASE + WINDOW_SIZE)
        return false;
    u64 end = scan_number(dash + 1, 16);
    if (end <= WINDOW_BASE)
        return false;
    start = max_u64(start, WINDOW_BASE); /* neighbouring reservations of the host may have merged */
    char *rest = space;
    char *perms = next_part(&rest, ' '), *offset = next_part(&rest, ' ');
    char *device = next_part(&rest, ' '), *inode = next_part(&rest, ' ');
    if (!perms || !offset || !device || !inode)
        return false;
    while (*rest == ' ')
        rest++;
    area->start = start - WINDOW_BASE;
    area->end = min_u64(end - WINDOW_BASE, WINDOW_SIZE);
    area->offset = scan_number(offset, 16);
    area->inode = scan_number(inode, 10);
    area->device = device;
    area->name = rest;
    return true;
}

static const char *mapping_name(const struct mapping *mapping, const struct area *area) {
    switch ((enum mapping_kind)mapping->kind) {
    case MAPPING_HEAP:
        return "[heap]";
    case MAPPING_STACK:
        return "[stack]";
    case MAPPING_VDSO:
        return "[vdso]";
    case MAPPING_VVAR:
        return "[vvar]";
    case MAPPING_ANONYMOUS:
    case MAPPING_FILE:
    default:
        return area->name;
    }
}

static void add_piece(struct text *text, const struct piece *piece) {
    u64 begin = text->length;
    if (piece->start == piece->end)
        return;
    text_add(text, "%08lx-%08lx %c%c%c%c %08lx %s %lu ", piece->start, piece->end,
             piece->prot & PROT_READ ? 'r' : '-', piece->prot & PROT_WRITE ? 'w' : '-',
             piece->prot & PROT_EXEC ? 'x' : '-', piece->shared ? 's' : 'p', piece->offset,
             piece->device, piece->inode);
    if (piece->name[0]) {
        while (text->length - begin < NAME_COLUMN && !text->overflow)
            text_add(text, " ");
        text_add(text, "%s", piece->name);
    }
    text_add(text, "\n");
}

static struct piece make_piece(const struct mapping *mapping, const struct area *area) {
    struct piece piece = {
        .start = max_u64(mapping->start, area->start),
        .end = min_u64(mapping->end, area->end),
        .inode = area->inode,
        .prot = mapping->prot,
        .shared = mapping->shared,
        .device = area->device,
        .name = mapping_name(mapping, area),
    };
    if (area->inode)
        piece.offset = area->offset + (piece.start - area->start);
    return piece;
}

static bool continues(const struct piece *piece, const struct piece *next) {
    return piece->end == next->start && piece->prot == next->prot &&
           piece->shared == next->shared && piece->inode == next->inode &&
           !strcmp(piece->name, next->name) && !strcmp(piece->device, next->device) &&
           (!next->inode || next->offset == piece->offset + (next->start - piece->start));
}

/* Moves to the first mapping that ends behind `address`. Areas come in address order. */
static void skip_to(struct mappings *mappings, gva_t address) {
    while (mappings->next < mappings->count && mappings->list[mappings->next].end <= address)
        mappings->next++;
}

/* The host's text of this process, and the mappings to compare it with. */
static long begin_walk(const struct place *place, const char *file, struct host_text *real,
                       struct mappings *mappings) {
    char path[48];
    format(path, sizeof(path), "%d/%s", place->pid, file);
    long result = copy_mappings(mappings);
    if (result)
        return result;
    return host_text_read(place->thread, path, real);
}

long make_maps(const struct place *place, struct text *text) {
    struct host_text real = {NULL, 0, 0};
    struct mappings mappings;
    struct piece kept = {.device = "", .name = ""};
    struct area area;
    long result = begin_walk(place, "maps", &real, &mappings);
    char *rest = real.data, *line;
    while (!result && (line = next_line(&rest))) {
        if (!parse_area(line, &area))
            continue;
        skip_to(&mappings, area.start);
        for (u64 i = mappings.next; i < mappings.count && mappings.list[i].start < area.end; i++) {
            struct piece piece = make_piece(&mappings.list[i], &area);
            if (continues(&kept, &piece)) {
                kept.end = piece.end;
                continue;
            }
            add_piece(text, &kept);
            kept = piece;
        }
    }
    add_piece(text, &kept);
    host_text_free(&real);
    free_mappings(&mappings);
    return result;
}

/* The guest's part of an area: from its first mapping's start to its last one's end, and the bytes
 * mapped in it. False when there is none. */
static bool guest_part(struct mappings *mappings, const struct area *area, struct piece *piece,
                       u64 *bytes) {
    skip_to(mappings, area->start);
    *bytes = 0;
    for (u64 i = mappings->next; i < mappings->count && mappings->list[i].start < area->end; i++) {
        struct piece one = make_piece(&mappings->list[i], area);
        if (!*bytes)
            *piece = one;
        piece->end = one.end;
        *bytes += one.end - one.start;
    }
    return *bytes != 0;
}

/* The host may hold several guest mappings as one area; its counts cannot be told apart, so that
 * they are shown as one. */
long make_smaps(const struct place *place, struct text *text) {
    struct host_text real = {NULL, 0, 0};
    struct mappings mappings;
    struct area area;
    struct piece piece;
    bool shown = false;
    u64 bytes = 0;
    long result = begin_walk(place, "smaps", &real, &mappings);
    char *rest = real.data, *line;
    while (!result && (line = next_line(&rest))) {
        if (line[0] < 'A' || line[0] > 'Z') { /* an address, not the name of a count */
            shown = parse_area(line, &area) && guest_part(&mappings, &area, &piece, &bytes);
            if (shown)
                add_piece(text, &piece);
        } else if (shown && has_prefix(line, "Size:")) {
            text_add(text, "Size:           %8lu kB\n", bytes >> 10);
        } else if (shown) {
            text_add(text, "%s\n", line);
        }
    }
    host_text_free(&real);
    free_mappings(&mappings);
    return result;
}

/* The sums are the host's: the monitor's own few pages are in them. */
long make_smaps_rollup(const struct place *place, struct text *text) {
    struct host_text real = {NULL, 0, 0};
    struct mappings mappings;
    struct piece piece = {.device = "00:00", .name = "[rollup]"};
    long result = begin_walk(place, "smaps_rollup", &real, &mappings);
    if (!result && mappings.count) {
        char *rest = real.data;
        next_line(&rest);
        piece.start = mappings.list[0].start;
        piece.end = mappings.list[mappings.count - 1].end;
        add_piece(text, &piece);
        text_put(text, rest, strlen(rest));
    }
    host_text_free(&real);
    free_mappings(&mappings);
    return result;
}
