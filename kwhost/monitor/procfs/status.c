/* stat, status and statm: the host's text of the process, with what tells of the monitor instead of
 * the program replaced. */
#include <linux/mman.h>

#include "base/host.h"
#include "mm/space.h"
#include "process/load.h"
#include "process/thread.h"
#include "procfs/content.h"
#include "procfs/private.h"
#include "procfs/scan.h"
#include "procfs/table.h"

#define UNKNOWN_STACK (132ul << 10) /* what Linux begins with */
#define STAT_FIELDS 53

/* Sizes and signals of a process, as its program has them. */
struct figures {
    u64 size, peak, data, stack, code, library;
    u64 ignored, caught, threads;
    bool published; /* else threads and signals are the host's */
};

static void add_mapping(const struct mapping *mapping, void *context) {
    struct figures *figures = context;
    u64 size = mapping->end - mapping->start;
    if (mapping->kind == MAPPING_STACK)
        figures->stack += size;
    else if (mapping->start >= program_image.base && mapping->end <= program_image.break_start &&
             (mapping->prot & PROT_EXEC))
        figures->code += size;
    else if (mapping->prot & PROT_EXEC)
        figures->library += size;
    if (!mapping->shared && (mapping->prot & PROT_WRITE) && mapping->kind != MAPPING_STACK)
        figures->data += size;
}

static void find_figures(const struct place *place, u64 host_size, struct figures *figures) {
    struct table_entry *entry = scratch_take(place->thread, sizeof(*entry));
    *figures = (struct figures){0};
    figures->published = entry && table_read_numbers(place->pid, entry);
    if (figures->published) {
        figures->size = entry->virtual_size;
        figures->peak = entry->virtual_peak;
        figures->ignored = entry->ignored;
        figures->caught = entry->caught;
        figures->threads = entry->threads;
    } else {
        /* Not a program, or one without a place in the table: the window is no memory of its own.
         */
        bool window = host_size >= WINDOW_SIZE + WINDOW_GUARD;
        figures->size = figures->peak = host_size - (window ? WINDOW_SIZE + WINDOW_GUARD : 0);
    }
    if (place->own) {
        figures->size = space_size();
        figures->threads = place->thread->process->thread_count;
        figures->peak = max_u64(figures->peak, figures->size);
        space_each(add_mapping, figures);
    } else {
        figures->stack = min_u64(UNKNOWN_STACK, figures->size);
        figures->data = figures->size - figures->stack;
    }
}

/* True when the text is about the very thread that asks: it runs, though its host thread may wait.
 */
static bool about_asker(const struct place *place) {
    return (place->tid ? place->tid : place->pid) == place->thread->kernel_tid;
}

static void set_field(char **field, char *room, u64 value) {
    format(room, 24, "%lu", value);
    *field = room;
}

/* Fields 26 to 30 and 45 to 51: addresses, told of the own process only (as if it could not be
 * traced). `field` counts from 1 as in proc(5). */
static void set_addresses(const struct place *place, char **field, char room[STAT_FIELDS][24]) {
    const struct program_image *image = &program_image;
    bool own = place->own;
    set_field(&field[26], room[26], own ? image->base : 1);
    set_field(&field[27], room[27], own ? image->break_start : 1);
    set_field(&field[28], room[28], own ? image->stack_pointer : 0);
    field[29] = field[30] = field[35] = (char *)"0";
    set_field(&field[45], room[45], 0);
    set_field(&field[46], room[46], own ? image->break_start : 0);
    set_field(&field[47], room[47], own ? image->break_start : 0);
    set_field(&field[48], room[48], own ? image->arguments : 0);
    set_field(&field[49], room[49], own ? image->arguments_end : 0);
    set_field(&field[50], room[50], own ? image->environment : 0);
    set_field(&field[51], room[51], own ? image->environment_end : 0);
}

static long edit_stat(const struct place *place, struct host_text *real, struct text *text) {
    char *field[STAT_FIELDS], room[STAT_FIELDS][24];
    struct figures figures;
    char *rest = strrchr(real->data, ')');
    int count = 3;
    if (!rest)
        return -ESRCH;
    rest++;
    text_put(text, real->data, (u64)(rest - real->data));
    char *end = strchr(rest, '\n');
    if (end)
        *end = 0;
    while (count < STAT_FIELDS && (field[count] = next_part(&rest, ' ')))
        count++;
    if (count == STAT_FIELDS) {
        find_figures(place, scan_number(field[23], 10), &figures);
        if (about_asker(place))
            field[3] = (char *)"R";
        if (figures.published || place->own)
            set_field(&field[20], room[20], figures.threads);
        set_field(&field[23], room[23], figures.size);
        if (figures.published) {
            set_field(&field[33], room[33], figures.ignored & 0x7fffffff);
            set_field(&field[34], room[34], figures.caught & 0x7fffffff);
        }
        set_addresses(place, field, room);
    }
    for (int i = 3; i < count; i++)
        text_add(text, " %s", field[i]);
    text_add(text, "\n");
    return 0;
}

long make_stat(const struct place *place, struct text *text) {
    struct host_text real;
    long result = host_text_read(place->thread, place->inside, &real);
    if (!result)
        result = edit_stat(place, &real, text);
    host_text_free(&real);
    return result;
}

/* The label's own kilobyte line, or false. */
static bool add_size(struct text *text, const char *line, const char *label, u64 bytes) {
    if (!has_prefix(line, label))
        return false;
    text_add(text, "%s\t%8lu kB\n", label, bytes >> 10);
    return true;
}

static void add_status_line(const struct place *place, const struct figures *figures,
                            const char *line, struct text *text) {
    bool known = figures->published || place->own;
    if (add_size(text, line, "VmPeak:", figures->peak) ||
        add_size(text, line, "VmSize:", figures->size) ||
        add_size(text, line, "VmData:", figures->data) ||
        add_size(text, line, "VmStk:", figures->stack) ||
        add_size(text, line, "VmExe:", figures->code) ||
        add_size(text, line, "VmLib:", figures->library))
        return;
    if (has_prefix(line, "FDSize:"))
        text_add(text, "FDSize:\t256\n");
    else if (has_prefix(line, "State:") && about_asker(place))
        text_add(text, "State:\tR (running)\n");
    else if (has_prefix(line, "Threads:") && known)
        text_add(text, "Threads:\t%lu\n", figures->threads);
    else if (has_prefix(line, "SigIgn:") && figures->published)
        text_add(text, "SigIgn:\t%016lx\n", figures->ignored);
    else if (has_prefix(line, "SigCgt:") && figures->published)
        text_add(text, "SigCgt:\t%016lx\n", figures->caught);
    else if (has_prefix(line, "Seccomp:"))
        text_add(text, "Seccomp:\t0\n");
    else if (has_prefix(line, "Seccomp_filters:"))
        text_add(text, "Seccomp_filters:\t0\n");
    else
        text_add(text, "%s\n", line);
}

long make_status(const struct place *place, struct text *text) {
    struct host_text real;
    struct figures figures;
    long result = host_text_read(place->thread, place->inside, &real);
    if (!result) {
        char *rest = real.data, *line = strstr(rest, "\nVmSize:");
        u64 host_size = 0;
        if (line) {
            for (line += sizeof("\nVmSize:") - 1; *line == ' ' || *line == '\t';)
                line++;
            host_size = scan_number(line, 10) << 10;
        }
        find_figures(place, host_size, &figures);
        while ((line = next_line(&rest)))
            add_status_line(place, &figures, line, text);
    }
    host_text_free(&real);
    return result;
}

/* size resident shared text lib data dt, in pages. */
long make_statm(const struct place *place, struct text *text) {
    struct host_text real;
    struct figures figures;
    long result = host_text_read(place->thread, place->inside, &real);
    if (!result) {
        char *rest = real.data, *size = next_part(&rest, ' ');
        char *resident = next_part(&rest, ' '), *shared = next_part(&rest, ' ');
        find_figures(place, size ? scan_number(size, 10) * PAGE_SIZE : 0, &figures);
        text_add(text, "%lu %s %s %lu 0 %lu 0\n", figures.size / PAGE_SIZE,
                 resident ? resident : "0", shared ? shared : "0", figures.code / PAGE_SIZE,
                 (figures.data + figures.stack) / PAGE_SIZE);
    }
    host_text_free(&real);
    return result;
}
