#include "jail/overlay.h"

#include "base/text.h"
#include "jail/filesystem.h"
#include "jail/kernel.h"

#define LAYERS_TEXT 2048

/* Attaches the layers to directories named by their numbers in the working directory (a layer must be
 * attached before an overlay takes it, up to Linux 6.14), and writes the list of them. */
static bool attach_layers(const int *layers, u32 count, struct text *list,
                          struct failure *failure) {
    for (u32 i = 0; i < count; i++) {
        char name[16];
        format(name, sizeof name, "%u", i);
        long result = host(__NR_mkdirat, AT_FDCWD, name, 0700);
        if (result >= 0)
            result = host(__NR_move_mount, layers[i], "", AT_FDCWD, name, MOVE_MOUNT_F_EMPTY_PATH);
        if (result < 0)
            return fail(failure, STATUS_OWN, result, "attaching layer %u of the overlay", i + 1);
        text_add(list, "%s%s", i ? ":" : "", name);
    }
    return !list->overflow || fail(failure, STATUS_OWN, 0, "too many layers");
}

/* The directory for changes looks like the uppermost layer's: its mode is the overlay's own. */
static long make_upper(int layer) {
    struct statx stat;
    long result = host_stat(layer, "", AT_EMPTY_PATH, &stat);
    if (result >= 0)
        result = host(__NR_mkdirat, AT_FDCWD, "changes", stat.stx_mode & 07777);
    if (result >= 0)
        result = host(__NR_mkdirat, AT_FDCWD, "work", 0700);
    return result;
}

static long mount_overlay(const char *list, char log[FILESYSTEM_LOG]) {
    log[0] = 0;
    long context = filesystem_open("overlay");
    if (context < 0)
        return context;
    const char *options[][2] = {
        {"lowerdir", list}, {"upperdir", "changes"}, {"workdir", "work"}, {"userxattr", NULL}};
    for (u32 i = 0; i < array_size(options); i++) {
        long result = filesystem_option((int)context, options[i][0], options[i][1]);
        if (result < 0) {
            host(__NR_close, context);
            return result;
        }
    }
    return filesystem_mount((int)context, FILESYSTEM_SAFE, log);
}

int overlay_make(const int *layers, u32 count, const char *data, struct failure *failure) {
    char names[LAYERS_TEXT], log[FILESYSTEM_LOG];
    struct text list = {.data = names, .size = sizeof names};
    long base = filesystem_new("tmpfs", data, FILESYSTEM_SAFE, log);
    if (base < 0) {
        fail(failure, STATUS_OWN, base, "the writable layer (%s)%s", data ? data : "", log);
        return -1;
    }
    long result = host(__NR_move_mount, base, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH);
    if (result >= 0)
        result = host(__NR_fchdir, base);
    if (result >= 0)
        result = make_upper(layers[0]);
    if (result < 0) {
        fail(failure, STATUS_OWN, result, "preparing the writable layer");
        return -1;
    }
    if (!attach_layers(layers, count, &list, failure))
        return -1;
    long overlay = mount_overlay(names, log);
    if (overlay < 0) {
        fail(failure, STATUS_OWN, overlay,
             "the image cannot be a layer of an overlay%s: keep it on a local file system", log);
        return -1;
    }
    /* The overlay holds private copies of what it is made of. */
    host(__NR_umount2, ".", MNT_DETACH);
    host(__NR_close, base);
    host(__NR_chdir, "/");
    return (int)overlay;
}
