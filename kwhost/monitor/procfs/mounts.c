/* mounts, mountinfo and mountstats: the host's, where the sealed directory shows as the procfs that
 * stands behind it, and overlays do not tell where on the host their layers lie. */
#include "base/host.h"
#include "procfs/content.h"
#include "procfs/private.h"
#include "procfs/scan.h"

#define PROC_OPTIONS "rw,nosuid,nodev,noexec,relatime"

/* Adds mount options without the names of host directories. */
static void add_options(struct text *text, char *options) {
    bool first = true;
    char *option;
    while ((option = next_part(&options, ','))) {
        if (has_prefix(option, "lowerdir") || has_prefix(option, "upperdir=") ||
            has_prefix(option, "workdir=") || has_prefix(option, "datadir"))
            continue;
        text_add(text, "%s%s", first ? "" : ",", option);
        first = false;
    }
}

/* source target type options 0 0 */
static void add_mount(struct text *text, char *line) {
    char *part[4];
    for (int i = 0; i < 4; i++)
        if (!(part[i] = next_part(&line, ' ')))
            return;
    if (!strcmp(part[1], "/proc")) {
        text_add(text, "proc /proc proc " PROC_OPTIONS " 0 0\n");
        return;
    }
    text_add(text, "%s %s %s ", part[0], part[1], part[2]);
    add_options(text, part[3]);
    text_add(text, " 0 0\n");
}

/* id parent major:minor root target options [optional...] - type source options */
static void add_mountinfo(struct text *text, char *line) {
    char *part[6], *optional;
    for (int i = 0; i < 6; i++)
        if (!(part[i] = next_part(&line, ' ')))
            return;
    bool proc = !strcmp(part[4], "/proc");
    text_add(text, "%s %s %s %s %s %s", part[0], part[1], part[2], proc ? "/" : part[3], part[4],
             proc ? PROC_OPTIONS : part[5]);
    while ((optional = next_part(&line, ' ')) && strcmp(optional, "-"))
        text_add(text, " %s", optional);
    char *type = next_part(&line, ' '), *source = next_part(&line, ' ');
    if (proc || !type || !source) {
        text_add(text, " - proc proc rw\n");
        return;
    }
    text_add(text, " - %s %s ", type, source);
    add_options(text, line);
    text_add(text, "\n");
}

static void add_mountstats(struct text *text, char *line) {
    if (strstr(line, " mounted on /proc with fstype "))
        text_add(text, "device proc mounted on /proc with fstype proc\n");
    else
        text_add(text, "%s\n", line);
}

static long make_lines(const struct place *place, struct text *text,
                       void (*add)(struct text *text, char *line)) {
    struct host_text real;
    long result = host_text_read(place->thread, place->inside, &real);
    if (!result) {
        char *rest = real.data, *line;
        while ((line = next_line(&rest)))
            add(text, line);
    }
    host_text_free(&real);
    return result;
}

long make_mounts(const struct place *place, struct text *text) {
    return make_lines(place, text, add_mount);
}

long make_mountinfo(const struct place *place, struct text *text) {
    return make_lines(place, text, add_mountinfo);
}

long make_mountstats(const struct place *place, struct text *text) {
    return make_lines(place, text, add_mountstats);
}
