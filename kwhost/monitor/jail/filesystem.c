#include "jail/filesystem.h"

#include "base/text.h"
#include "jail/kernel.h"

long filesystem_open(const char *type) {
    return host(__NR_fsopen, type, 1 /* FSOPEN_CLOEXEC */);
}

long filesystem_option(int context, const char *key, const char *value) {
    return host(__NR_fsconfig, context, value ? CONFIG_STRING : CONFIG_FLAG, key, value, 0);
}

/* Sets "key=value,flag,..." (NULL: none). */
static long set_options(int context, const char *options) {
    char part[256];
    while (options && *options) {
        const char *comma = strchr(options, ',');
        size_t length = comma ? (size_t)(comma - options) : strlen(options);
        if (length >= sizeof part)
            return -ENAMETOOLONG;
        memcpy(part, options, length);
        part[length] = 0;
        char *value = strchr(part, '=');
        if (value)
            *value++ = 0;
        long result = filesystem_option(context, part, value);
        if (result < 0)
            return result;
        options += length + (comma ? 1 : 0);
    }
    return 0;
}

/* The newest message about an error that the file system left on its context. */
static void read_log(int context, char log[FILESYSTEM_LOG]) {
    char line[FILESYSTEM_LOG];
    long length;
    log[0] = 0;
    while ((length = host(__NR_read, context, line, sizeof line - 1)) > 0) {
        line[length] = 0;
        if (line[length - 1] == '\n')
            line[length - 1] = 0;
        if (has_prefix(line, "e "))
            format(log, FILESYSTEM_LOG, " (%s)", line + 2);
    }
}

long filesystem_mount(int context, u64 attributes, char log[FILESYSTEM_LOG]) {
    log[0] = 0;
    long result = host(__NR_fsconfig, context, CONFIG_CREATE, 0, 0, 0);
    if (result >= 0)
        result = host(__NR_fsmount, context, 1 /* FSMOUNT_CLOEXEC */, attributes);
    if (result < 0)
        read_log(context, log);
    host(__NR_close, context);
    return result;
}

long filesystem_new(const char *type, const char *options, u64 attributes,
                    char log[FILESYSTEM_LOG]) {
    log[0] = 0;
    long context = filesystem_open(type);
    if (context < 0)
        return context;
    long result = filesystem_option((int)context, "source", type); /* what df and mount show */
    if (result >= 0)
        result = set_options((int)context, options);
    if (result < 0) {
        read_log((int)context, log);
        host(__NR_close, context);
        return result;
    }
    return filesystem_mount((int)context, attributes, log);
}

long mount_change(int mount, u64 attributes, int ids, bool recursive) {
    struct mount_attr change = {.attr_set = attributes, .propagation = MS_PRIVATE};
    if (ids >= 0) {
        change.attr_set |= MOUNT_ATTR_IDMAP;
        change.userns_fd = (u64)ids;
    }
    return host(__NR_mount_setattr, mount, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0),
                &change, sizeof change);
}

long mount_attach(int mount, int target) {
    return host(__NR_move_mount, mount, "", target, "",
                MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}
